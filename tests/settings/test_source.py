"""Sources: which of them wins, and what a file, variables, flags and a program's defaults may leave out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rlb.errors import SettingsError
from rlb.settings import Settings, load_settings
from rlb.settings.description import Leaf, leaves
from tests.settings.sources import SECRET, SIMPLE, nested, refusal


def good_values(leaf: Leaf) -> st.SearchStrategy[Any]:
    match leaf.schema:
        case {"enum": choices}:
            return st.sampled_from(choices)
        case {"type": "integer", "minimum": low, "maximum": high}:
            return st.integers(low, high)
        case {"type": "number", "minimum": low, "maximum": high}:
            return st.floats(low, high)
        case _:
            raise AssertionError(leaf.key)


layers = st.fixed_dictionaries({}, optional={leaf.key: good_values(leaf) for leaf in SIMPLE})


def lookup(settings: Settings, key: str) -> object:
    section, _, field = key.rpartition(".")
    return getattr(getattr(settings, section) if section else settings, field)


@given(in_file=layers, in_environ=layers, in_flags=layers)
def test_later_sources_win(
    file: Path, in_file: dict[str, object], in_environ: dict[str, object], in_flags: dict[str, object]
) -> None:
    """Flags beat variables, variables beat the file, the file beats defaults, each setting by itself."""
    file.write_text(json.dumps(nested(in_file)))
    settings = load_settings(file, in_flags, {leaves()[key].variable: str(value) for key, value in in_environ.items()})
    expected = {leaf.key: leaf.field.default for leaf in SIMPLE} | in_file | in_environ | in_flags
    assert {leaf.key: lookup(settings, leaf.key) for leaf in SIMPLE} == expected


@pytest.mark.parametrize("suffix", [".yaml", ".toml"])
def test_file(tmp_path: Path, suffix: str) -> None:
    """The same settings, in either format; a section may be empty."""
    written = {
        ".yaml": "drain_s: 3\nsocket:\n  mode: 0600\n  allow_gids: [33]\nredis:\n  # url: later\n",
        ".toml": "drain_s = 3\n[socket]\nmode = 0o600\nallow_gids = [33]\n[redis]\n# url = later\n",
    }
    file = tmp_path / f"rlb{suffix}"
    file.write_text(written[suffix])
    settings = load_settings(file, environ={})
    assert (settings.drain_s, settings.socket.mode, settings.socket.allow_gids) == (3, 0o600, (33,))
    assert settings.redis.url is None


def test_config_variable(tmp_path: Path) -> None:
    """RLB_CONFIG names the file, unless a flag does; an empty one names none."""
    by_variable, by_flag = tmp_path / "variable.toml", tmp_path / "flag.toml"
    by_variable.write_text("drain_s = 1")
    by_flag.write_text("drain_s = 2")
    environ = {"RLB_CONFIG": str(by_variable)}
    assert load_settings(environ=environ).drain_s == 1
    assert load_settings(by_flag, environ=environ).drain_s == 2
    assert load_settings(environ={"RLB_CONFIG": ""}).drain_s == 10
    assert refusal(environ={"RLB_CONFIG": "rlb"}) == "RLB_CONFIG='rlb': expected a file named .yaml, .yml or .toml"


def test_defaults_of_a_program() -> None:
    """They take the place of the tree's own, and every source beats them; a bad one is told as such."""
    defaults = {"drain_s": 2, "log.level": "warning"}
    settings = load_settings(flags={"drain_s": None}, environ={"RLB_LOG__LEVEL": "error"}, defaults=defaults)
    assert (settings.drain_s, settings.log.level) == (2, "error")
    assert load_settings(flags={"drain_s": 3}, environ={}, defaults=defaults).drain_s == 3
    with pytest.raises(SettingsError, match=r"^drain_s \(default\)=-1: expected a number from 0 to 3600"):
        load_settings(environ={}, defaults={"drain_s": -1})


def test_flags() -> None:
    """A flag that was not given is None and changes nothing; an unknown one is refused."""
    assert load_settings(flags={"log.level": None, "drain_s": "5"}, environ={"RLB_LOG__LEVEL": "ERROR"}).drain_s == 5
    assert load_settings(flags={"log.level": None}, environ={"RLB_LOG__LEVEL": "ERROR"}).log.level == "error"
    assert refusal(flags={"redis.uri": SECRET}) == "redis.uri: unknown setting; did you mean redis.url?"
    assert refusal(flags={"redis.url": SECRET}).startswith("--redis-url='********': expected redis://")


def test_blank_variables() -> None:
    """A blank variable unsets what may be unset, even what a lower source has set, and is bad elsewhere."""
    environ = {"RLB_REDIS__URL": "", "RLB_REDIS__PASSWORD": " ", "RLB_REDIS__TLS_CA_FILE": ""}
    settings = load_settings(environ=environ)
    assert (settings.redis.url, settings.redis.password, settings.redis.tls_ca_file) == (None, None, None)
    assert refusal(environ={"RLB_STREAM__MAX_LENGTH": ""}).startswith("RLB_STREAM__MAX_LENGTH='': expected a whole")


def test_service_links_are_no_settings() -> None:
    """The variables that Kubernetes makes up for Services named rlb and rlb-metrics do not stop the start."""
    load_settings(
        environ={
            "RLB_SERVICE_HOST": "10.0.0.1",
            "RLB_SERVICE_PORT": "9464",
            "RLB_SERVICE_PORT_METRICS": "9464",
            "RLB_PORT": "tcp://10.0.0.1:9464",
            "RLB_PORT_9464_TCP": "tcp://10.0.0.1:9464",
            "RLB_PORT_9464_TCP_PROTO": "tcp",
            "RLB_PORT_9464_TCP_ADDR": "10.0.0.1",
            "RLB_METRICS_PORT": "tcp://10.0.0.1:9464",
        }
    )


def test_settings_do_not_change() -> None:
    """The tree is frozen, and hashable as a value is."""
    settings = load_settings(environ={})
    with pytest.raises(ValidationError, match="frozen"):
        settings.redis.url = "redis://h"
    assert hash(settings) == hash(load_settings(environ={}))
