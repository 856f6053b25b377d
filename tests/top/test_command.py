"""`rlb-top` as a process: what it prints with --once, and how it ends."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlb.client import Bridge
from rlb.domain.snapshot import Snapshot
from rlb_top.once import _taken
from tests.cli.processes import PATIENCE_S, Ran, clean_environment
from tests.servers.process import RedisServer
from tests.support.scripted_source import AT, ScriptedSource, snapshot, stream
from tests.support.sidecar import RunningSidecar, settings_of
from tests.top.incident import DATA

TRIED_MS = "2500"
"""How long a Redis that refuses is tried: so long that the first attempt has failed, and its reason is known."""


def top(*arguments: str, **variables: str) -> Ran:
    """Run it to its end."""
    ran = subprocess.run(
        [sys.executable, "-m", "rlb_top", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean_environment(**variables),
        timeout=PATIENCE_S,
        check=False,
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return Ran(ran.returncode, ran.stdout, ran.stderr)


@pytest.fixture
def sidecar(valkey: RedisServer, short_tmp: Path) -> Iterator[RunningSidecar]:
    """With two streams and a group that is behind on one."""

    async def write() -> None:
        async with Bridge(short_tmp / "s") as bridge:
            for session in ("s-1", "s-2"):
                async with bridge.generation(session, "llama") as generation:
                    await generation.produce("secret words")
            await bridge.create_group("s-1", "llama", "indexer")
            while (await bridge.snapshot()).totals.groups == 0:
                await asyncio.sleep(0.02)

    settings = settings_of(short_tmp / "s", valkey.url, monitor={"interval_seconds": 0.1, "idle_interval_seconds": 0.1})
    with RunningSidecar(settings) as running:
        asyncio.run(write())
        yield running


def test_a_table_for_people(sidecar: RunningSidecar) -> None:
    lines = top("--once", "--socket", str(sidecar.path)).good().out.splitlines()
    assert lines[0].startswith(f"{sidecar.path}: valkey 9.1.2, up")
    assert lines[1].startswith("2 streams, 1 group")
    assert lines[3].split()[:4] == ["status", "group", "session", "model"]
    assert lines[4].split()[2:6] == ["indexer", "s-1", "llama", "2"]
    assert lines[5].split()[1:5] == ["unread", "-", "s-2", "llama"]
    assert len(lines) == 6


def test_the_whole_snapshot_as_json(sidecar: RunningSidecar) -> None:
    ran = top("--once", "--format", "json", RLB_SOCKET__PATH=str(sidecar.path)).good()
    found = Snapshot.model_validate(ran.json)
    assert found.totals.streams == 2
    assert len(ran.out.splitlines()) == 1
    assert "secret words" not in ran.out


def test_numbers_as_csv(sidecar: RunningSidecar) -> None:
    ran = top("--once", "--format", "csv", "--socket", str(sidecar.path), "--filter", "group:indexer").good()
    (row,) = csv.DictReader(io.StringIO(ran.out))
    assert (row["session"], row["lag"], row["lag_quality"]) == ("s-1", "2", "exact")
    assert float(row["lag_s"]) >= 0


def test_a_redis_without_a_sidecar(valkey: RedisServer) -> None:
    valkey.command("XADD", "orders:eu", "*", "a", "1")
    valkey.command("XGROUP", "CREATE", "orders:eu", "app", "0")
    ran = top("--once", "--redis", valkey.url, "--format", "json", "--interval", "0.2").good()
    (found,) = ran.json["streams"]
    assert (found["key"], found["groups"][0]["lag"]) == ("orders:eu", 1)
    assert found["writeRate"] == 0.0
    seldom = top("--once", "--redis", valkey.url, "--format", "json", "--interval", "600").good()
    assert seldom.json["streams"][0]["writeRate"] == 0.0
    none = top("--once", "--redis", valkey.url, "--pattern", "jobs:*", "--interval", "0.2").good()
    assert none.out.splitlines()[-1] == "no streams"


async def test_a_rate_that_two_polls_at_once_do_not_tell_is_waited_for() -> None:
    """As where the machine stood still between them. Where nothing tells it, twice as many polls are enough."""
    unknown = [snapshot(stream("s", "m", write_rate=None), at=AT + poll) for poll in range(9)]
    known = snapshot(stream("s", "m", write_rate=0.0), at=AT + 2)
    assert await _taken(ScriptedSource(*unknown[:2], known, *unknown[3:]), polls=2) == known
    assert await _taken(ScriptedSource(*unknown), polls=2) == unknown[3]
    assert await _taken(ScriptedSource(*unknown), polls=1) == unknown[0]


@pytest.mark.parametrize(("arguments", "status"), [((), "ok"), (("--at", "180"), "losing")])
def test_a_picture_of_a_recording(arguments: tuple[str, ...], status: str) -> None:
    ran = top("--once", "--replay", str(DATA), "--filter", "chat group:indexer", *arguments).good()
    assert ran.out.splitlines()[-1].split()[1] == status


def test_modes_and_sorting() -> None:
    models = top("--once", "--replay", str(DATA), "--mode", "models", "--format", "csv", "--sort=-lag").good()
    lags = [int(row["lag"]) for row in csv.DictReader(io.StringIO(models.out))]
    assert lags == sorted(lags)
    assert len(lags) == 5
    streams = top("--once", "--replay", str(DATA), "--mode", "streams", "--format", "csv", "--sort", "session").good()
    assert [row["session"] for row in csv.DictReader(io.StringIO(streams.out))] == ["agent-02", "batch-11", "chat-7f3a"]
    assert top("--once", "--replay", str(DATA), "--filter", "nobody").good().out.splitlines()[-1] == "nothing matches"


def test_a_reader_who_has_seen_enough_is_no_fault() -> None:
    command = [sys.executable, "-m", "rlb_top", "--once", "--replay", str(DATA), "--format", "json"]
    read, write = os.pipe()
    os.close(read)
    ran = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False, text=True)
    os.close(write)
    assert ran.returncode == 1
    assert ran.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--socket", "/nowhere/s"), 69, "unreachable: no sidecar answers at /nowhere/s: No such file or directory; "),
        (("--redis", "redis://127.0.0.1:1"), 69, "unreachable: Redis is not connected: cannot connect to 127.0.0.1:1"),
        (("--redis", "http://x"), 78, "bad setting: --redis"),
        (("--replay", "/nowhere/r"), 1, "/nowhere/r cannot be opened: No such file or directory"),
        (("--replay", str(DATA), "--once", "--sort", "colour"), 2, "usage: --sort colour: expected one of status, "),
        (("--socket", "a", "--redis", "b"), 2, "usage: one source at a time, not --socket and --redis"),
        (("--once", "--serve"), 2, "usage: --once and --serve exclude each other"),
        (("--format", "json"), 2, "usage: --format is for --once"),
        (("--limit", "0"), 2, "usage: argument --limit: '0': expected a whole number from 1 to 10000"),
        (("--interval", "soon"), 2, "usage: argument --interval: 'soon': expected 0.2 to 3600 seconds"),
        (("--colour",), 2, "usage: unrecognized arguments: --colour"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_with_an_exit_code(arguments: tuple[str, ...], code: int, said: str) -> None:
    ran = top(*arguments, RLB_APPEND__DEADLINE_MS=TRIED_MS)
    assert ran.code == code
    assert ran.err.startswith(f"rlb-top: {said}")
    assert len(ran.err.splitlines()) == 1
    assert ran.out == ""


def test_a_bad_setting_and_a_secret_in_a_url() -> None:
    ran = top("--once", "--redis", "redis://:hidden-word@127.0.0.1:1", RLB_MONITOR__INTERVAL_SECONDS="x")
    assert ran.code == 78
    ran = top("--once", "--redis", "redis://:hidden-word@127.0.0.1:1", RLB_APPEND__DEADLINE_MS=TRIED_MS)
    assert ran.code == 69
    assert "hidden-word" not in ran.err


def test_a_recording_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_text("mine")
    ran = top("--replay", str(DATA), "--record", str(path))
    assert ran.code == 2
    assert path.read_text() == "mine"


def test_help_and_version_need_no_terminal_library() -> None:
    script = "import sys, rlb_top.cli; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert {"textual", "rich", "pydantic", "aiohttp", "redis"}.isdisjoint(ran.stdout.split())
    assert top("--version").good().out.startswith("rlb-top ")
    assert "--replay" in top("--help").good().out


def test_one_picture_is_printed_without_the_screens_library() -> None:
    script = "import sys, rlb_top.cli as c; c.main(sys.argv[1:]); print(*sys.modules)"
    command = [sys.executable, "-c", script, "--once", "--replay", str(DATA)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert {"textual", "aiohttp", "redis"}.isdisjoint(ran.stdout.splitlines()[-1].split())


def test_a_source_that_does_not_answer_does_not_hang(short_tmp: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short_tmp / "s"))
        listener.listen()
        began_s = time.monotonic()
        ran = top("--once", "--socket", str(short_tmp / "s"))
    assert ran.code == 69
    assert "too long" in ran.err
    assert time.monotonic() - began_s < PATIENCE_S
