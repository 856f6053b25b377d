"""Refused settings: errors of one line that name key, value and expectation but no secret."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rlb.errors import SettingsError
from rlb.settings import load_settings
from rlb.settings.description import Leaf, leaves
from tests.settings.sources import SECRET, SIMPLE, nested, refusal

SECRETS = {"RLB_REDIS__URL": f"redis://app:{SECRET}@h/0"}
words = st.text(st.characters(max_codepoint=0xFFFF)).map("x".__add__)  # YAML reads no JSON escapes of more


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
