"""What the tests of sources share: the settings that are good each by itself, as a tree, and how one is refused."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rlb.errors import SettingsError
from rlb.settings import load_settings
from rlb.settings.description import leaves

SECRET = "SESAME"
RELATED = {"socket.max_message_bytes", "socket.max_body_bytes", "append.buffer_bytes", "append.stream_buffer_bytes"}
"""Settings of which not every combination is good."""
RELATED |= {"redis.backoff_min_s", "redis.backoff_max_s"}


def refusal(
    config_file: Path | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> str:
    """The one line with which the settings are refused; neither it nor its traceback holds a secret."""
    with pytest.raises(SettingsError) as caught:
        load_settings(config_file, flags, environ or {})
    message = str(caught.value)
    assert message.isprintable()
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    return message


SIMPLE = [leaf for leaf in leaves().values() if {"enum", "minimum"} & leaf.schema.keys() and leaf.key not in RELATED]


def nested(flat: Mapping[str, object]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        section, _, field = key.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[field] = value
    return tree
