"""`rlb run`: it is there soon, takes its settings, and goes in order."""

from __future__ import annotations

import json
import resource
import signal
import socket as sockets
import stat
import time
from pathlib import Path

import pytest

from tests.cli.processes import Running, rlb, wait_until_well


def connect_when_there(path: Path, limit_s: float) -> None:
    """Return when the socket has accepted a connection."""
    end_s = time.monotonic() + limit_s
    while time.monotonic() < end_s:
        with sockets.socket(sockets.AF_UNIX) as client:
            try:
                client.connect(str(path))
            except OSError:
                time.sleep(0.005)
            else:
                return
    pytest.fail(f"nobody listens at {path} after {limit_s} s")


def test_the_socket_is_there_soon_even_without_redis(short_tmp: Path) -> None:
    """Apps that wait for the socket do not wait for Redis."""
    url = f"unix://{short_tmp}/none"
    with Running("run", "--redis-url", url, "--socket-path", f"{short_tmp}/s", "--metrics-port", "0") as run:
        connect_when_there(short_tmp / "s", 20.0)
        assert run.end(signal.SIGTERM).code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well_and_leaves_nothing(short_tmp: Path, number: signal.Signals) -> None:
    """The socket's file and the server's folder are gone, the exit code is 0, the log says what was done."""
    socket = short_tmp / "made" / "s"
    with Running(
        *("run", "--embedded", "--socket-path", str(socket), "--socket-mode", "0600", "--metrics-port", "0"),
        env={"TMPDIR": str(short_tmp)},
    ) as run:
        wait_until_well(socket)
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        ended = run.end(number)
    events = [json.loads(line)["event"] for line in ended.err.splitlines()]
    assert ended.code == 0
    assert ended.out == ""
    assert {"service.started", "service.signal", "service.drained", "service.stopped"} <= set(events)
    assert [path.name for path in short_tmp.rglob("*")] == ["made"]


def test_flags_beat_variables_and_the_file(short_tmp: Path) -> None:
    """As `rlb config` shows it for file and environment, and as the sidecar runs with the flag."""
    file = short_tmp / "rlb.yaml"
    file.write_text(f"socket: {{path: {short_tmp}/from-file}}\nlog: {{format: json, level: error}}\n")
    env = {"RLB_SOCKET__PATH": f"{short_tmp}/from-env", "RLB_LOG__FORMAT": "console"}
    shown = rlb("config", "--config", str(file), "--json", env=env).good().json
    assert (shown["socket"]["path"], shown["log"]) == (f"{short_tmp}/from-env", {"level": "error", "format": "console"})
    flags = ("--socket-path", f"{short_tmp}/s", "--metrics-port", "0", "--log-level", "info")
    with Running("run", "--embedded", "--config", str(file), *flags, env=env) as run:
        wait_until_well(short_tmp / "s")
        ended = run.end(signal.SIGTERM)
    assert "info    service.started" in ended.err


def test_it_allows_itself_more_connections_than_a_shell_does(short_tmp: Path) -> None:
    """The soft limit on open files is raised towards the hard one: 1024 connections need more than 1024 files."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = min(hard, 4096) // 2 if hard != resource.RLIM_INFINITY else 1024

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    arguments = ("run", "--embedded", "--socket-path", f"{short_tmp}/s", "--metrics-port", "0")
    with Running(*arguments, preexec_fn=lower) as run:
        wait_until_well(short_tmp / "s")
        now, still = resource.prlimit(run.process.pid, resource.RLIMIT_NOFILE)
        assert still == hard
        assert now > soft
        assert run.end(signal.SIGTERM).code == 0


def test_config_masks_secrets_and_reads_back(short_tmp: Path) -> None:
    """What it prints as YAML is a settings file, and no password is in it."""
    shown = rlb("config", env={"RLB_REDIS__URL": "redis://app:hunter2@db:6379/0"}).good().out
    assert "redis://app:********@db:6379/0" in shown
    assert "hunter2" not in shown
    file = short_tmp / "rlb.yaml"
    file.write_text(rlb("config", env={"RLB_STREAM__MAX_LENGTH": "77"}).good().out)
    assert rlb("config", "--config", str(file), "--json").good().json["stream"]["max_length"] == 77
    assert rlb("config", env={"RLB_CONFIG": str(file)}).good().out == file.read_text()


def test_config_gives_the_schema() -> None:
    """For editors, and for checks before a roll-out."""
    schema = rlb("config", "--schema").good().json
    assert {"socket", "redis", "stream", "log"} <= set(schema["properties"])
