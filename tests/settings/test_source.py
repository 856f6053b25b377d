"""Sources: precedence, and errors of one line that name key, value and expectation but no secret."""

from __future__ import annotations

import json
import math
import os
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from rlb.errors import SettingsError
from rlb.settings import Settings, load_settings
from rlb.settings.description import Leaf, leaves

SECRET = "SESAME"
SECRETS = {"RLB_REDIS__URL": f"redis://app:{SECRET}@h/0"}
RELATED = {"socket.max_message_bytes", "socket.max_body_bytes", "append.buffer_bytes", "append.stream_buffer_bytes"}
"""Settings of which not every combination is good."""
RELATED |= {"redis.backoff_min_s", "redis.backoff_max_s"}


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A path for a file of settings, which each example writes anew."""
    return tmp_path_factory.mktemp("settings") / "rlb.yaml"


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


SIMPLE = [leaf for leaf in leaves().values() if {"enum", "minimum"} & leaf.schema.keys() and leaf.key not in RELATED]
words = st.text(st.characters(max_codepoint=0xFFFF)).map("x".__add__)  # YAML reads no JSON escapes of more
layers = st.fixed_dictionaries({}, optional={leaf.key: good_values(leaf) for leaf in SIMPLE})


def nested(flat: Mapping[str, object]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        section, _, field = key.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[field] = value
    return tree


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


@st.composite
def bad_values(draw: st.DrawFn) -> tuple[Leaf, int | str]:
    """A setting and a value that it cannot have, whatever source it comes from."""
    leaf = draw(st.sampled_from(SIMPLE))
    bad: st.SearchStrategy[int | str] = words | st.sampled_from(["", "nan", "-1", "1 2", "[1]"])
    if "minimum" in leaf.schema:
        low, high = leaf.schema["minimum"], leaf.schema["maximum"]
        bad |= st.integers(max_value=math.ceil(low) - 1) | st.integers(min_value=math.floor(high) + 1)
    return leaf, draw(bad)


@pytest.mark.parametrize("source", ["file", "environ", "flags"])
@given(bad=bad_values())
@example(bad=(leaves()["metrics.port"], "x\n\x1b[31m\u2028\ud800"))
@example(bad=(leaves()["metrics.port"], "x" * 10_000))
@example(bad=(leaves()["metrics.port"], 10**4000))
def test_bad_value_is_one_line(file: Path, source: str, bad: tuple[Leaf, int | str]) -> None:
    """A bad value is refused in one line with its key as written, the value, and what was expected."""
    leaf, value = bad
    if source == "file":
        file.write_text(json.dumps(nested({leaf.key: value})))
        message, spelling = refusal(file, environ=SECRETS), f"{file}:{leaf.key}"
    elif source == "flags":
        message, spelling = refusal(flags={leaf.key: value}, environ=SECRETS), leaf.flag
    else:
        value = str(value)
        message, spelling = refusal(environ=SECRETS | {leaf.variable: value}), leaf.variable
    assert message.startswith(f"{spelling}={repr(value)[:40]}")
    assert message.endswith(f": expected {leaf.expectation}")
    assert len(message) < len(spelling) + 200


@pytest.mark.parametrize("key", leaves())
@pytest.mark.parametrize("value", [{SECRET: SECRET}, [[SECRET]], True], ids=["mapping", "nested list", "truth value"])
def test_bad_kind_of_value(file: Path, key: str, value: object) -> None:
    """No setting takes nested data or a truth value, and of what it was given none is shown."""
    file.write_text(json.dumps(nested({key: value})))
    assert refusal(file).startswith(f"{file}:{key}=")


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"RLB_METRICS__PORT": "http"}, "RLB_METRICS__PORT='http': expected a whole number from 0 to 65535"),
        ({"RLB_DRAIN_S": "-1"}, "RLB_DRAIN_S='-1': expected a number from 0 to 3600"),
        ({"RLB_LOG__LEVEL": "warn"}, "RLB_LOG__LEVEL='warn': expected one of debug, info, warning, error"),
        (
            {"RLB_SOCKET__MODE": "8"},
            "RLB_SOCKET__MODE='8': expected an octal file mode from 0000 to 0777, such as 0660",
        ),
        (
            {"RLB_SOCKET__ALLOW_UIDS": "1,x"},
            "RLB_SOCKET__ALLOW_UIDS='1,x': expected a list, each a whole number from 0 to 4294967294",
        ),
        (
            {"RLB_SOCKET__MAX_BODY_BYTES": "2048"},
            "RLB_SOCKET__MAX_BODY_BYTES='2048': expected max_message_bytes <= max_body_bytes",
        ),
        (
            {"RLB_APPEND__BUFFER_BYTES": "65536"},
            "RLB_APPEND__BUFFER_BYTES='65536': expected socket.max_message_bytes <= append.buffer_bytes",
        ),
        (
            {"RLB_REDIS__BACKOFF_MIN_S": "1"},
            "RLB_REDIS__BACKOFF_MIN_S='1': expected backoff_min_s <= backoff_max_s",
        ),
        (
            {"RLB_REDIS__TLS_KEY_FILE": "/k.pem"},
            "RLB_REDIS__TLS_KEY_FILE='/k.pem': expected both or neither of tls_cert_file and tls_key_file",
        ),
        (
            {"RLB_REDIS__URL": f"redis://:{SECRET}@h", "RLB_REDIS__PASSWORD": SECRET},
            "RLB_REDIS__PASSWORD='********': expected the password once: in password_file, password or url",
        ),
        (
            {"RLB_REDIS__URL": f"redis://app:{SECRET}@h", "RLB_REDIS__USERNAME": "app"},
            "RLB_REDIS__USERNAME='app': expected the user name once: in username or in url",
        ),
        (
            {"XDG_RUNTIME_DIR": "/" + 200 * "x", "RLB_METRICS__PORT": "0"},
            "expected a path of at most 107 bytes (the kernel's limit), not 214",
        ),
        ({"RLB_REDIS__PASSWROD": SECRET}, "RLB_REDIS__PASSWROD: unknown setting; did you mean RLB_REDIS__PASSWORD?"),
        ({"RLB_REDIS_URL": SECRET}, "RLB_REDIS_URL: unknown setting; did you mean RLB_REDIS__URL?"),
        ({"RLB_METRICS_PORT": "9464"}, "RLB_METRICS_PORT: unknown setting; did you mean RLB_METRICS__PORT?"),
        ({"RLB_redis__url": SECRET}, "RLB_redis__url: unknown setting; did you mean RLB_REDIS__URL?"),
        ({"RLB_LOG__COLOUR": "1"}, "RLB_LOG__COLOUR: unknown setting; expected one of level, format in log"),
        (
            {"RLB_" + 999 * "X": "1"},
            "groups, tail, monitor, limits, generation, trace, log",
        ),
    ],
)
def test_refused_environment(environ: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an operator reads, word for word."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert refusal(environ=environ).endswith(message)


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


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rlb.json", "{}", "--config='{file}': expected a file named .yaml, .yml or .toml"),
        ("rlb.yaml", None, "--config='{file}': expected a readable file (No such file or directory)"),
        ("rlb.yaml", "a: 1\nb: *SESAME", "--config='{file}': expected YAML with each key once (line 2)"),
        ("rlb.yaml", "a: 2024-99-99", "--config='{file}': expected YAML with each key once"),
        ("rlb.yaml", "a: " + 5000 * "[", "--config='{file}': expected YAML with each key once"),
        ("rlb.yaml", "log:\nredis:\nlog:\n", "--config='{file}': expected YAML with each key once (line 3)"),
        ("rlb.toml", "a = 1\nb = SESAME", "--config='{file}': expected TOML with each key once (line 2)"),
        ("rlb.toml", "[log]\n[log]", "--config='{file}': expected TOML with each key once (line 2)"),
        (
            "rlb.yml",
            "- SESAME",
            "--config='{file}': expected sections with any of socket, metrics, redis, stream, append, groups, tail,",
        ),
        ("rlb.yml", "log: SESAME", "{file}:log: expected a section with any of level, format"),
        ("rlb.yml", "log: {levle: SESAME}", "{file}:log.levle: unknown setting; did you mean log.level?"),
        ("rlb.yml", "{1: SESAME}", "{file}:1: unknown setting; expected one of the sections socket, metrics,"),
        ("rlb.toml", "[log]\nlevel = 1979-05-27", "{file}:log.level=datetime.date(1979, 5, 27): expected one of debug"),
        ("rlb.yml", f"drain_s: 0x{5000 * 'f'}", "{file}:drain_s=a huge number: expected a number from 0 to 3600"),
    ],
)
def test_refused_file(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    """A file that is not what it should be is named, with the line where that is known, but not quoted."""
    file = tmp_path / name
    if content is not None:
        file.write_text(content)
    assert refusal(file).startswith(message.format(file=file))


@given(content=st.binary() | st.text(alphabet="ab:-[]{}&*!<>|#='\"\n \t\\0123456789?%@,.").map(str.encode))
@pytest.mark.parametrize("suffix", [".yaml", ".toml"])
def test_any_file_is_read_or_refused(file: Path, suffix: str, content: bytes) -> None:
    """Whatever a file holds, the answer is settings or one line."""
    file = file.with_suffix(suffix)
    file.write_bytes(content)
    message = ""
    try:
        load_settings(file, environ={})
    except SettingsError as error:
        message = str(error)
    assert message.isprintable()


@given(leaf=st.sampled_from([*leaves().values()]), value=st.text(st.characters(exclude_characters="\0")))
@example(leaf=leaves()["redis.password_file"], value="\udcff")
@example(leaf=leaves()["redis.password"], value="\udcff")
@example(leaf=leaves()["stream.prefix"], value="\udcff")
@example(leaf=leaves()["socket.path"], value="\ud800")
def test_any_variable_is_read_or_refused(leaf: Leaf, value: str) -> None:
    """Whatever a variable holds, bytes that are no UTF-8 included, the answer is settings or one line."""
    message = ""
    try:
        load_settings(environ={leaf.variable: value})
    except SettingsError as error:
        message = str(error)
    assert message.isprintable()


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
