"""The exit codes that scripts rely on, each by a real command: 0, 1 failed, 2 usage, 69 unreachable, 78 settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlb import __version__
from tests.cli.conftest import Sidecar
from tests.cli.processes import Running, rlb, wait_until_well
from tests.servers.process import RedisServer

STREAM = ("-s", "s-1", "-m", "m")

USAGE = {
    "no-command": ((), "Usage: rlb"),
    "unknown-command": (("nope",), "rlb: usage: No such command 'nope'; see `rlb --help`"),
    "typo": (("tial",), "Did you mean 'tail'"),
    "unknown-option": (("tail", *STREAM, "--nope"), "No such option: --nope"),
    "missing-option": (("tail", "-s", "s-1"), "Missing option '--model'"),
    "session": (("tail", "-s", "a:b", "-m", "m"), "rlb: usage: Invalid value for '--session'"),
    "model": (("info", "-s", "a", "-m", "{m}"), "rlb: usage: Invalid value for '--model'"),
    "group": (("dlq", "list", "-g", "a b"), "rlb: usage: Invalid value for '--group'"),
    "entry-id": (("tail", *STREAM, "--from", "12"), "rlb: usage: Invalid value for '--from'"),
    "format": (("produce", *STREAM, "--format", "xml"), "rlb: usage: Invalid value for '--format'"),
    "no-bound": (("trim", *STREAM), "rlb: usage: give one of --max-length and --older-than"),
    "two-bounds": (("trim", *STREAM, "--max-length", "1", "--older-than", "1s"), "rlb: usage: give one of"),
    "duration": (("trim", *STREAM, "--older-than", "5x"), "expected a number with its unit"),
    "no-ids": (("dlq", "replay", "-g", "g"), "rlb: usage: give ids, or --all; see `rlb dlq replay --help`"),
    "ids-and-all": (("dlq", "drop", "-g", "g", "1-1", "--all"), "rlb: usage: give ids, or --all"),
    "groups-of-what": (("groups", "-m", "m"), "rlb: usage: --session is missing; see `rlb groups --help`"),
    "misplaced": (("groups", "-s", "a", "create", "g", *STREAM), "--session belongs behind `create`"),
    "pending-of-what": (("pending", *STREAM), "rlb: usage: --group is missing; see `rlb pending --help`"),
    "pending-misplaced": (
        ("pending", "-g", "g", "claim", *STREAM, "-g", "g", "--to", "c"),
        "--group belongs behind `claim`",
    ),
    "claim-of-what": (
        ("pending", "claim", *STREAM, "-g", "g", "--to", "c"),
        "rlb: usage: give entry ids, or --from; see `rlb pending claim --help`",
    ),
    "claim-of-both": (
        ("dlq", "add", *STREAM, "-g", "g", "1-1", "--from", "c"),
        "rlb: usage: give entry ids, or --from",
    ),
    "health": (("health", "dead"), "rlb: usage: Invalid value for"),
}


@pytest.mark.parametrize(("arguments", "line"), USAGE.values(), ids=USAGE)
def test_wrong_usage_is_2(arguments: tuple[str, ...], line: str) -> None:
    """One line that says what is wrong and where to read on; the sidecar is not asked."""
    ran = rlb(*arguments, env={"RLB_SOCKET__PATH": "/nonexistent/s"})
    assert ran.code == 2
    assert line in (ran.err or ran.out)
    assert ran.err.count("\n") == (1 if arguments else 0)


COMMANDS = {
    "tail": ("tail", *STREAM),
    "streams": ("streams",),
    "info": ("info", *STREAM),
    "groups": ("groups", *STREAM),
    "create": ("groups", "create", "g", *STREAM),
    "trim": ("trim", *STREAM, "--max-length", "1"),
    "delete": ("delete", *STREAM, "--yes"),
    "remove-consumer": ("groups", "remove-consumer", "c", *STREAM, "-g", "g", "--yes"),
    "pending": ("pending", *STREAM, "-g", "g"),
    "claim": ("pending", "claim", *STREAM, "-g", "g", "1-1", "--to", "c"),
    "dlq-add": ("dlq", "add", *STREAM, "-g", "g", "1-1"),
    "dlq-list": ("dlq", "list", "-g", "g"),
    "dlq-replay": ("dlq", "replay", "-g", "g", "--all"),
    "dlq-drop": ("dlq", "drop", "-g", "g", "1-1", "--yes"),
    "produce": ("produce", *STREAM),
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_no_sidecar_is_69(arguments: tuple[str, ...], short_tmp: Path) -> None:
    """One line with the socket's path and what to do, for every command that needs a sidecar."""
    ran = rlb(*arguments, "--socket", str(short_tmp / "s"), stdin="hello")
    assert (ran.code, ran.out) == (69, "")
    assert ran.err == (
        f"rlb: unreachable: no sidecar answers at {short_tmp}/s: No such file or directory; "
        "start one with `rlb run`, or name its socket with --socket\n"
    )


def test_no_sidecar_is_1_for_a_probe(short_tmp: Path) -> None:
    """`rlb health` knows 0 and 1 only, as Docker wants it; by the quick way and by the full parser."""
    for more in ((), ("--timeout", "1")):
        ran = rlb("health", "--socket", str(short_tmp / "s"), *more)
        assert ran.code == 1
        assert ran.err.startswith(f"rlb: unreachable: no sidecar answers at {short_tmp}/s")
        assert rlb("health", "--socket", str(short_tmp / "s"), "--json", *more).json["status"] == "unreachable"


def test_no_redis_is_69(short_tmp: Path) -> None:
    """The sidecar answers, Redis does not: calls end with 69, the probe with 1, and it says why."""
    socket = short_tmp / "s"
    env = {"RLB_APPEND__DEADLINE_MS": "200"}
    arguments = ("run", "--redis-url", f"unix://{short_tmp}/none", "--socket-path", str(socket), "--metrics-port", "0")
    with Running(*arguments, env=env):
        while rlb("health", "live", "--socket", str(socket)).code != 0:
            pass
        for command in (("streams",), ("produce", *STREAM)):
            ran = rlb(*command, "--socket", str(socket), stdin="hello")
            assert (ran.code, ran.out) == (69, "")
            assert ran.err.startswith("rlb: redis_unavailable: ")
            assert ran.err.endswith("; `rlb health` says what the sidecar sees\n")
        health = rlb("health", "--socket", str(socket))
        assert health.code == 1
        assert "DOWN     redis: cannot connect" in health.out
        assert rlb("health", "ready", "--socket", str(socket)).code == 0


def test_what_the_sidecar_refuses_is_1(sidecar: Sidecar, session: str) -> None:
    """With the stable code of the API."""
    ran = sidecar.rlb("info", "-s", session, "-m", "m")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("rlb: stream_not_found: ")


SETTINGS = {
    "no-redis": ({}, (), "RLB_REDIS__URL is not set: expected the URL of a Redis, or start with --embedded"),
    "flag": ({}, ("--metrics-port", "abc"), "--metrics-port='abc': expected a whole number from 0 to 65535"),
    "unknown": ({"RLB_STREAM__MAXLENGTH": "1"}, (), "RLB_STREAM__MAXLENGTH: unknown setting; did you mean"),
    "value": ({"RLB_LOG__LEVEL": "loud"}, (), "RLB_LOG__LEVEL='loud': expected one of debug, info, warning, error"),
    "file": ({}, ("--config", "/nonexistent/rlb.yaml"), "--config='/nonexistent/rlb.yaml': expected a readable file"),
    "socket": ({}, ("--socket-path", "/" + "x" * 120), "expected a path of at most 107 bytes"),
}


@pytest.mark.parametrize(("env", "flags", "line"), SETTINGS.values(), ids=SETTINGS)
def test_bad_settings_are_78(env: dict[str, str], flags: tuple[str, ...], line: str) -> None:
    """`rlb run` stops with one line that names key, value and expectation."""
    ran = rlb("run", *flags, env=env)
    assert (ran.code, ran.out) == (78, "")
    assert ran.err.startswith("rlb: bad setting: ")
    assert line in ran.err
    assert ran.err.count("\n") == 1


def test_a_bad_socket_of_a_client_is_78() -> None:
    """The one setting that clients read is checked as well."""
    ran = rlb("streams", env={"RLB_SOCKET__PATH": "/" + "x" * 120})
    assert ran.code == 78
    assert ran.err.startswith("rlb: bad setting: RLB_SOCKET__PATH=")


def test_a_taken_socket_is_1(sidecar: Sidecar, valkey: RedisServer) -> None:
    """A second sidecar does not start, says who is there, and leaves the first one alone."""
    url = f"unix://{valkey.socket_path}"
    ran = rlb("run", "--redis-url", url, "--socket-path", str(sidecar.socket), "--metrics-port", "0")
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith("rlb: Another sidecar (pid ")
    wait_until_well(sidecar.socket)


def test_good_is_0(sidecar: Sidecar) -> None:
    """The version, help and a healthy sidecar."""
    assert rlb("--version").good().out == f"rlb {__version__}\n"
    assert sidecar.rlb("health").good().out.splitlines()[0] == "ok"
    assert sidecar.rlb("health", "--json").good().json["status"] == "ok"
    assert sidecar.rlb("health", "ready", "--timeout", "20").good().out == "ok\n"


@pytest.mark.parametrize(
    "command",
    [
        *("", "run", "demo", "health", "config", "produce", "tail", "streams", "info", "trim", "delete"),
        *("groups", "groups create", "groups remove-consumer", "pending", "pending claim"),
        *("dlq", "dlq list", "dlq add", "dlq replay", "dlq drop"),
    ],
)
def test_every_command_explains_itself(command: str) -> None:
    """`--help` names the command and its options."""
    ran = rlb(*command.split(), "--help").good()
    assert f"Usage: rlb {command}".strip() in ran.out
    assert "--help" in ran.out
