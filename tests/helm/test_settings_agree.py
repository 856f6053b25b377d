"""What the chart's schema lets into `config`, rlb takes when it starts; what it refuses, rlb would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from rlb.errors import SettingsError
from rlb.settings import load_settings
from rlb.settings.description import leaves
from tests.helm.values_schema import THE_CHARTS_OWN, settings_schema

SCHEMA = settings_schema()

AGREE_WITH_OTHERS = {
    "socket.max_message_bytes": "has to fit into a body and into both buffers",
    "socket.max_body_bytes": "has to hold a message",
    "append.buffer_bytes": "has to hold a message",
    "append.stream_buffer_bytes": "has to hold a message",
    "redis.backoff_min_s": "is not above the longest pause",
    "redis.backoff_max_s": "is not below the shortest pause",
}
"""Settings whose bounds another setting moves, which a schema cannot say; rlb tells of it at its start."""


def schema_of(key: str) -> dict[str, Any]:
    part: dict[str, Any] = SCHEMA
    for name in key.split("."):
        part = part["properties"][name]
    return part


def configurable() -> list[str]:
    """The settings that values may hold, by their dotted keys."""
    keys = []
    for key in leaves():
        section, _, field = key.rpartition(".")
        if field not in THE_CHARTS_OWN.get(section, ()):
            keys.append(key)
    return keys


def examples(schema: dict[str, Any]) -> Iterator[tuple[Any, bool]]:
    """Values at the bounds and beyond them, with whether the schema lets them in."""
    for option in schema.get("anyOf", [schema]):
        if "enum" in option:
            yield from ((value, True) for value in option["enum"])
            yield "no such choice", False
        elif option["type"] in ("integer", "number"):
            yield option["minimum"], True
            yield option["maximum"], True
            yield option["minimum"] - 1, False
            yield option["maximum"] + 1, False
            yield [1], False
        elif option["type"] == "array":
            yield [], True
            yield {"a": 1}, False
        elif option["type"] == "string":
            yield 1.5, False
            yield from ((text, True) for text in ("a", "0660", "llm:stream") if jsonschema_takes(option, text))
            yield from ((text, False) for text in ("a b", "prefix:", "x" * 300) if not jsonschema_takes(option, text))


def jsonschema_takes(schema: dict[str, Any], value: Any) -> bool:
    return bool(jsonschema.Draft7Validator(schema).is_valid(value))


def rlb_takes(key: str, value: Any, folder: Path) -> bool:
    section, _, field = key.rpartition(".")
    file = folder / "rlb.yaml"
    file.write_text(yaml.safe_dump({section: {field: value}} if section else {field: value}))
    try:
        load_settings(file, environ={})
    except SettingsError:
        return False
    return True


@pytest.mark.parametrize("key", configurable())
def test_the_chart_and_rlb_are_of_one_mind(key: str, tmp_path: Path) -> None:
    for value, is_good in examples(schema_of(key)):
        assert jsonschema_takes(schema_of(key), value) is is_good, value
        if not is_good or key not in AGREE_WITH_OTHERS:
            assert rlb_takes(key, value, tmp_path) is is_good, value


def test_the_chart_knows_every_setting_but_those_that_it_decides() -> None:
    known = {
        f"{section}.{field}" if "properties" in part else section
        for section, part in SCHEMA["properties"].items()
        for field in part.get("properties", [section])
    }
    assert known == set(configurable())
    assert not {key for key in known if "password" in key or key.startswith("metrics.")}


@pytest.mark.parametrize("key", AGREE_WITH_OTHERS)
def test_those_that_agree_with_others_do(key: str, tmp_path: Path) -> None:
    let_in = [value for value, is_good in examples(schema_of(key)) if is_good]
    assert not all(rlb_takes(key, value, tmp_path) for value in let_in)
