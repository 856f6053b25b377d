"""`rlb demo` as a process: for scripts, in a pipe, where its usual places are taken, and until Ctrl-C."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket as sockets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlb.settings import MetricsSettings
from tests.cli.conftest import Sidecar
from tests.cli.processes import Running, rlb

USUAL_PORT = MetricsSettings().port


@contextmanager
def taken_port() -> Iterator[None]:
    """Whoever has the usual port: this test, or something else on this machine."""
    with sockets.socket() as listener:
        listener.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", USUAL_PORT))
            listener.listen()
        except OSError:
            pass
        yield


def test_a_script_can_use_the_demo(short_tmp: Path) -> None:
    """JSON lines: where it is, how it goes, how it went. What went in came out, and the slow group fell behind."""
    socket = str(short_tmp / "d")
    with Running("demo", "--json", "--chats", "12", "--socket", socket, env={"TMPDIR": str(short_tmp)}) as demo:
        started = json.loads(demo.read_line())
        assert (started["event"], started["socket"], started["chats"]) == ("started", socket, 12)
        assert rlb("health", "--socket", socket).good().out.splitlines()[0] == "ok"
        assert started["healthUrl"].startswith("http://127.0.0.1:")
        assert len(started["try"]) == 3
        for command in started["try"]:
            words = shlex.split(command.rpartition("|")[2])
            assert words[-2:] == ["--socket", socket]
        models = {info["modelId"] for info in rlb("streams", "--socket", socket, "--json").good().json}
        progress = json.loads(demo.read_line())
        while (progress["groups"][1]["behind"] or 0) < 50 or not progress["finished"]:
            progress = json.loads(demo.read_line())
        models |= {info["modelId"] for info in rlb("streams", "--socket", socket, "--json").good().json}
        ended = demo.end(signal.SIGINT)
    assert ended.code == 0
    assert ended.err == ""
    last = ended.lines[-1]
    assert last["event"] == "ended"
    assert last["faults"] == 0
    fast, slow = last["groups"]
    assert fast["delivered"] > 0.8 * last["tokens"]
    assert slow["delivered"] < fast["delivered"] / 2
    assert 0 < slow["acked"] <= slow["delivered"]
    assert len(models) > 1
    assert [path.name for path in short_tmp.iterdir()] == []


def test_the_printed_commands_work(short_tmp: Path) -> None:
    """All three, as they are printed: tail what is being written, list the streams, write one's own."""
    with Running("demo", "--socket", str(short_tmp / "d"), env={"TMPDIR": str(short_tmp)}) as demo:
        printed = []
        while len(printed) < 3:
            line = demo.read_line().strip()
            printed += [line] if " -m rlb.cli " in line else []
        tail, streams, produce = (shlex.split(line.rpartition("|")[2])[3:] for line in printed)
        assert printed[2].startswith('echo "Hello')
        rlb(*produce, stdin="Hello\n").good()
        assert "mine" in rlb(*streams).good().out
        with Running(*tail) as following:
            assert following.process.stdout is not None
            assert following.process.stdout.read(20)
        ended = demo.end(signal.SIGTERM)
    assert ended.code == 0
    assert "tokens/s" in ended.out or "ended after" in ended.out
    assert ended.out.splitlines()[-1].startswith("ended after 0:")


def test_taken_places_are_left_alone(short_tmp: Path, sidecar: Sidecar) -> None:
    """With the usual socket and port in use, the demo has a socket and a port of its own, and says so."""
    env = {"RLB_SOCKET__PATH": str(sidecar.socket), "TMPDIR": str(short_tmp)}
    with taken_port():
        events = rlb("demo", "--duration", "1.5", "--json", env=env).good().lines
    socket, remarks = events[0]["socket"], events[0]["remarks"]
    assert socket != str(sidecar.socket)
    assert socket.startswith(f"{short_tmp}/rlb-demo-")
    assert "holds" in remarks[0]
    assert f"port {USUAL_PORT} is taken" in remarks[1]
    assert f":{USUAL_PORT}/" not in events[0]["healthUrl"]
    assert events[-1]["elapsedSeconds"] >= 1.5
    assert [path.name for path in short_tmp.iterdir()] == []
    sidecar.rlb("health").good()


def test_a_socket_that_was_asked_for_is_not_replaced(sidecar: Sidecar) -> None:
    """If it is taken, that is a failure."""
    ran = rlb("demo", "--duration", "1", "--socket", str(sidecar.socket))
    assert ran.code == 1
    assert ran.err.startswith("rlb: Another sidecar (pid ")


def test_the_redis_of_a_real_sidecar_does_not_matter(short_tmp: Path) -> None:
    """A demo on a machine that is set up for production neither uses its Redis nor fails for its file."""
    env = {
        "RLB_REDIS__URL": "redis://user:password@production.invalid:6379",
        "RLB_REDIS__PASSWORD_FILE": "/nonexistent/password",
        "RLB_CONFIG": "/nonexistent/rlb.yaml",
    }
    events = rlb("demo", "--duration", "3", "--json", "--socket", str(short_tmp / "d"), env=env).good().lines
    assert events[-1]["tokens"] > 0
    assert not os.path.lexists(short_tmp / "d")


def test_variables_win_over_what_the_demo_has_otherwise(short_tmp: Path) -> None:
    """Over its own defaults, and over a sidecar's: streams that live for a day, no polls, no port, a log of all."""
    socket = str(short_tmp / "d")
    env = {
        "RLB_STREAM__RETENTION_MS": "86400000",
        "RLB_MONITOR__SCOPE": "off",
        "RLB_METRICS__PORT": "0",
        "RLB_LOG__LEVEL": "info",
        "RLB_LOG__FORMAT": "json",
    }
    with Running("demo", "--json", "--socket", socket, env=env) as demo:
        started = json.loads(demo.read_line())
        assert (started["healthUrl"], started["remarks"]) == (None, [])
        while not json.loads(demo.read_line())["tokens"]:
            pass
        streams = rlb("streams", "--socket", socket, "--json").good().json
        components = rlb("health", "--socket", socket, "--json").good().json["components"]
        ended = demo.end(signal.SIGINT)
    assert min(stream["ttlSeconds"] for stream in streams) > 80_000
    assert "monitor" not in [component["name"] for component in components]
    assert "service.started" in [json.loads(line)["event"] for line in ended.err.splitlines()]


def test_a_bad_variable_stops_the_demo(short_tmp: Path) -> None:
    """As it stops a sidecar, with a line that names it."""
    env = {"RLB_STREAM__MAX_LENGTH": "nonsense"}
    ran = rlb("demo", "--duration", "1", "--socket", str(short_tmp / "d"), env=env)
    assert ran.code == 78
    assert ran.err.startswith("rlb: bad setting: RLB_STREAM__MAX_LENGTH='nonsense': expected a whole number")
