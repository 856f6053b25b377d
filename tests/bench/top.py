"""What it costs to look on: rlb-top as a process, on a socket that tells of very many streams once a second.

Everything is measured from outside: its CPU by /proc, and its speed by what it writes to its terminal, a pty. A key has
been answered when the name of the row that the cursor is on now has been painted.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import random
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from rlb.domain.snapshot import Snapshot
from tests.bench.measure import cpu_s
from tests.support.scripted_source import AT, consumer, group, snapshot, stream

INTERVAL_S = 1.0
FRAMES = 4
"""Snapshots that differ, told in turn: no two that follow each other are the same."""

STARTS = 6

SETTLE_S = 3.0
WATCH_S = 15.0
"""How long it is watched without a key, for its CPU."""

KEYS = 80
PAUSES_S = (0.05, 0.35)
"""Between two keys, at random, so that they come at any time of a snapshot's way."""

PATIENCE_S = 60.0
LINES, COLUMNS = 45, 160
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TARGETS = "less than 15% of a core, p95 below 50 ms, first picture within 1 s"


@dataclass(frozen=True)
class Look:
    """One run. `rows` is how many of the streams are asked for and shown."""

    streams: int
    rows: int
    cores: float
    key_p50_ms: float
    key_p95_ms: float
    start_s: float
    resident_bytes: int

    def sentence(self) -> str:
        """The result in words."""
        return (
            f"rlb-top, {self.rows:,} of {self.streams:,} streams once a second: {self.cores:.1%} of a core, a key is "
            f"answered in {self.key_p50_ms:.0f} ms (p95 {self.key_p95_ms:.0f} ms), first picture after "
            f"{self.start_s:.2f} s, {self.resident_bytes / 2**20:.0f} MiB"
        )


def name_of(row: int) -> str:
    """The session of the row at this place: no name is a part of another."""
    return f"s-{row:06}-x"


def frames(streams: int) -> list[Snapshot]:
    """Snapshots of so many streams with a group each. The first is always the worst, the second the next, and so on."""
    made = []
    for frame in range(FRAMES):
        rows = (
            stream(
                name_of(row),
                f"model-{row % 20}",
                group(
                    "workers",
                    lag=10 * (streams - row) + frame,
                    lag_seconds=(streams - row) / 10 + frame / 100,
                    status="lagging",
                    reason=f"{10 * (streams - row)} entries undelivered, and not falling",
                    read_rate=40.0 + (row + frame) % 7,
                    consumers=(consumer("c-1", pending=frame),),
                ),
                write_rate=42.0 + (row + frame) % 5,
            )
            for row in range(streams)
        )
        made.append(snapshot(*rows))
    return made


@contextlib.asynccontextmanager
async def told(path: Path, streams: int) -> AsyncIterator[None]:
    """A socket that tells of these streams as a sidecar does, a snapshot after the other."""
    made: dict[int, list[bytes]] = {}
    pictures = frames(streams)

    def lines(limit: int) -> list[bytes]:
        if limit not in made:
            cut = [each.model_copy(update={"streams": each.streams[:limit]}) for each in pictures]
            made[limit] = [each.model_dump_json(by_alias=True).encode() for each in cut]
        return made[limit]

    def at_now(line: bytes, begun_s: float) -> bytes:
        now = AT + time.monotonic() - begun_s
        return line.replace(f'"at":{AT}'.encode(), f'"at":{now}'.encode(), 1)

    async def once(request: web.Request) -> web.Response:
        return web.Response(body=lines(int(request.query["limit"]))[0], content_type="application/json")

    async def watch(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "application/x-ndjson"})
        await response.prepare(request)
        begun_s, number = time.monotonic(), 0
        with contextlib.suppress(ConnectionError):
            while True:
                found = lines(int(request.query["limit"]))
                await response.write(at_now(found[number % FRAMES], begun_s) + b"\n")
                number += 1
                await asyncio.sleep(max(0.0, begun_s + number * INTERVAL_S - time.monotonic()))
        return response

    app = web.Application()
    app.router.add_get("/v1/snapshot", once)
    app.router.add_get("/v1/snapshot/watch", watch)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    lines(0)
    await web.UnixSite(runner, str(path)).start()
    try:
        yield
    finally:
        await runner.cleanup()


class Watched:
    """rlb-top in a pty. What it paints is read as it comes, so that it never has to wait for us."""

    def __init__(self, *arguments: str, environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self._painted = b""
        self._more = asyncio.Event()
        self.begun_s = time.perf_counter()
        self.pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "rlb_top", *arguments],
            {**os.environ, **environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs, number) for number in range(3)],
            setsid=True,
        )
        os.close(theirs)
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    def _read(self) -> None:
        try:
            self._painted += os.read(self._ours, 1 << 16)
        except OSError:
            asyncio.get_running_loop().remove_reader(self._ours)
        self._more.set()

    async def painted(self, text: str) -> float:
        """When this was painted, of what has not been looked at yet."""
        async with asyncio.timeout(PATIENCE_S):
            while text.encode() not in self._painted:
                self._more.clear()
                await self._more.wait()
        return time.perf_counter()

    def press(self, key: str) -> float:
        """Press a key, and look only at what is painted from now on."""
        self._painted = b""
        begun_s = time.perf_counter()
        os.write(self._ours, key.encode())
        return begun_s

    @property
    def resident_bytes(self) -> int:
        """Its memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_BYTES

    async def end(self) -> None:
        """Quit, and wait for the end."""
        self.press("q")
        end_s = time.monotonic() + 10.0
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > end_s:
                os.kill(self.pid, 9)
                os.waitpid(self.pid, 0)
                break
            await asyncio.sleep(0.05)
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._ours)


async def look(streams: int, rows: int) -> Look:
    """One run on so many streams, of which so many rows are asked for."""
    with tempfile.TemporaryDirectory(prefix="rlb-bench-") as folder:
        path = Path(folder, "s")
        async with told(path, streams):
            arguments = ("--socket", str(path), "--limit", str(rows), "--mode", "groups", "--sort", "lag")
            starts = []
            for _ in range(STARTS):
                top = Watched(*arguments, environment={"XDG_STATE_HOME": folder})
                starts.append(await top.painted(name_of(0)) - top.begun_s)
                await top.end()
            top = Watched(*arguments, environment={"XDG_STATE_HOME": folder})
            await top.painted(name_of(0))
            try:
                # Without the first, which fills the caches of files, and of what the socket tells.
                return await _watch(top, streams, rows, statistics.median(starts[1:]))
            finally:
                await top.end()


async def _watch(top: Watched, streams: int, rows: int, start_s: float) -> Look:
    """Watch it for a while, then press keys."""
    await asyncio.sleep(SETTLE_S)
    begun_s, begun_cpu_s = time.perf_counter(), cpu_s(top.pid)
    await asyncio.sleep(WATCH_S)
    cores = (cpu_s(top.pid) - begun_cpu_s) / (time.perf_counter() - begun_s)
    took_ms = []
    for row in _rows():
        down = row > 0
        begun_s = top.press("j" if down else "g")
        took_ms.append((await top.painted(name_of(row)) - begun_s) * 1e3)
        await asyncio.sleep(random.uniform(*PAUSES_S))
    p95_ms = statistics.quantiles(took_ms, n=20)[-1]
    return Look(streams, rows, cores, statistics.median(took_ms), p95_ms, start_s, top.resident_bytes)


def _rows() -> Iterator[int]:
    """The rows that the cursor comes to, key by key, within the first screen."""
    for key in range(1, KEYS + 1):
        yield key % 20


def sentences(found: Sequence[Look]) -> Iterator[str]:
    """The results in words, and what they are to be."""
    yield from (each.sentence() for each in found)
    yield f"to be: {TARGETS}"


def looks(streams: int) -> list[Look]:
    """As it is by default, with the thousand worst streams, and with all of them."""
    return [asyncio.run(look(streams, rows)) for rows in (min(1000, streams), streams)]


if __name__ == "__main__":
    print("\n".join(sentences(looks(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))))
