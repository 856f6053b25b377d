"""`make incident`: records tests/top/data/incident.jsonl, which rlb-top's tests, pictures and README replay.

A real sidecar on a real Valkey, a little traffic, and the script of an incident: a consumer dies, its groups fall
behind, the stream with the shortest MAXLEN loses what was not read, the consumer comes back. It is lived through ten
times as fast as it is told: after that all times in the snapshots are stretched by `STRETCH`, rates are slowed by as
much, and the frames get even steps, so that a replay is the same every time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from rlb._version import __version__
from rlb.client import Bridge
from rlb.domain.message import StreamConfig
from rlb.domain.snapshot import Snapshot
from rlb.errors import RlbError
from tests.servers.kinds import VALKEY_9
from tests.servers.process import SHORT_TEMPORARY_FOLDER, RedisServer
from tests.support.sidecar import RunningSidecar, settings_of

DATA = Path(__file__).parent / "data" / "incident.jsonl"

STRETCH = 10
POLL_S = 0.5
FRAMES = 80
"""Forty seconds to live through, told as 400 seconds in steps of five."""

DIES_S, RETURNS_S = 8.0, 26.0
PAUSES_S, GOES_ON_S = 14.0, 20.0
"""When an app stops writing without an end, and goes on."""

SETTINGS: dict[str, dict[str, Any]] = {
    "monitor": {
        "interval_seconds": POLL_S,
        "idle_interval_seconds": POLL_S,
        "window_seconds": 60 / STRETCH,
        "stalled_seconds": 30 / STRETCH,
        "losing_seconds": 60 / STRETCH,
        "dead_consumer_seconds": 100 / STRETCH,
    },
    "generation": {"stalled_seconds": 2.0},
    "stream": {"retention_ms": 360_000, "renew_ms": 50},
}
"""What is 60 s by default is 6 s here, and so on."""

CHAT = ("chat-7f3a", "meta-llama/Llama-3.1-8B-Instruct")
AGENT = ("agent-02", "mistralai/Mistral-7B-Instruct-v0.3")
BATCH = ("batch-11", "qwen2.5:14b")
STREAMS = (CHAT, AGENT, BATCH)
RATES = {CHAT: 150.0, AGENT: 90.0, BATCH: 60.0}
LENGTHS = {CHAT: 1200, AGENT: 20_000, BATCH: 20_000}

BASE_S = 1_767_000_000.0
"""The time of the first frame; what it is does not matter."""

WORDS = ("the ", "lag ", "grows ", "while ", "nobody ", "reads ")

MULTIPLIED = {
    *("ageSeconds", "headroomSeconds", "idleSeconds", "inactiveSeconds", "lagSeconds", "longestIdleSeconds"),
    *("oldestPendingSeconds", "retentionMs", "sinceLastTokenSeconds", "ttlSeconds", "worstLagSeconds"),
}
DIVIDED = {"readRate", "tokensIn", "tokensOut", "tokensPerSecond", "writeRate"}
_ENTRY_ID = re.compile(r"(\d{13})-(\d+)")
_DURATION = re.compile(r"\b(\d+(?:\.\d+)?) s\b")


class Stage:
    """The parts of the play: who writes, and who reads as long as it is meant to."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._since_s = time.monotonic()

    @property
    def now_s(self) -> float:
        return time.monotonic() - self._since_s

    async def write(self, stream: tuple[str, str]) -> None:
        """Generation after generation, at an even pace."""
        rate = RATES[stream]
        number = 0
        while True:
            async with self._bridge.generation(*stream) as generation:
                for _ in range(round(rate * 9)):
                    await generation.produce(WORDS[number % len(WORDS)])
                    number += 1
                    if stream == BATCH and PAUSES_S < self.now_s < GOES_ON_S:
                        await asyncio.sleep(GOES_ON_S - self.now_s)
                    await asyncio.sleep(1 / rate)

    async def read(self, stream: tuple[str, str], group: str, consumer: str, is_alive: Callable[[], bool]) -> None:
        """Read and acknowledge a few at a time; one that dies keeps its last delivery."""
        while True:
            if not is_alive():
                await asyncio.sleep(0.1)
                continue
            with contextlib.suppress(RlbError):
                found = await self._bridge.read_messages(*stream, group, consumer, count=100, block_ms=200)
                if found and is_alive():
                    await self._bridge.acknowledge(*stream, group, [each.entry_id for each in found])
            await asyncio.sleep(0.1)

    def indexer_lives(self) -> bool:
        return not DIES_S < self.now_s < RETURNS_S


async def play(socket: Path) -> list[Snapshot]:
    """The snapshots of the incident as they came."""
    async with Bridge(socket) as bridge:
        for stream in STREAMS:
            await bridge.create_stream(*stream, StreamConfig(max_length=LENGTHS[stream]))
            await bridge.create_group(*stream, "live-view")
        for stream in (CHAT, AGENT):
            await bridge.create_group(*stream, "indexer")
        stage = Stage(bridge)
        parts: list[Coroutine[Any, Any, None]] = [
            *(stage.write(stream) for stream in STREAMS),
            *(stage.read(stream, "live-view", "web-1", lambda: True) for stream in STREAMS),
            *(stage.read(stream, "indexer", "indexer-1", stage.indexer_lives) for stream in (CHAT, AGENT)),
        ]
        async with played(parts):
            return await recorded(bridge)


@contextlib.asynccontextmanager
async def played(parts: list[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """All parts at once, to the end of the block."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        yield
        assert not any(task.done() for task in tasks), "a part ended too soon"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def recorded(bridge: Bridge) -> list[Snapshot]:
    """One snapshot a poll, from when all is under way."""
    found: list[Snapshot] = []
    async for snapshot in bridge.watch():
        is_under_way = all(each.write_rate for each in snapshot.streams) and len(snapshot.streams) == len(STREAMS)
        if is_under_way and (not found or snapshot.at != found[-1].at):
            found.append(snapshot)
        if len(found) == FRAMES:
            break
    return found


def told(snapshots: list[Snapshot]) -> list[str]:
    """The lines of the recording: the same incident, stretched, in even steps, on a machine without a name."""
    began_s = snapshots[0].at
    assert began_s is not None
    head = {"recording": 1, "version": __version__, "source": "/run/rlb/rlb.sock"}
    lines = [json.dumps(head)]
    for number, snapshot in enumerate(snapshots):
        at_s = number * POLL_S * STRETCH
        frame = stretched(json.loads(snapshot.model_dump_json(by_alias=True)), began_s)
        frame |= {"at": BASE_S + at_s, "pollSeconds": 0.004}
        frame["sidecar"]["instance"] = "gpu-node-4:/run/rlb/rlb.sock"
        frame["redis"]["clockSkewSeconds"] = 0.0
        lines.append(f'{{"at_s": {at_s:.1f}, "snapshot": {json.dumps(frame, separators=(",", ":"))}}}')
    return lines


def stretched(value: Any, began_s: float, name: str = "") -> Any:
    """The same as if all had gone ten times as slowly since the beginning; ids are times as well."""
    if isinstance(value, dict):
        return {key: stretched(member, began_s, key) for key, member in value.items()}
    if isinstance(value, list):
        return [stretched(member, began_s) for member in value]
    if isinstance(value, str):
        if name == "reason":
            return _DURATION.sub(lambda found: f"{float(found[1]) * STRETCH:g} s", value)
        return _ENTRY_ID.sub(lambda found: f"{_told_ms(int(found[1]), began_s)}-{found[2]}", value)
    if isinstance(value, float | int) and not isinstance(value, bool):
        scale = STRETCH if name in MULTIPLIED else 1 / STRETCH if name in DIVIDED else 1
        return round(value * scale, 3) if isinstance(value, float) else round(value * scale)
    return value


def _told_ms(ms: int, began_s: float) -> int:
    return round(BASE_S * 1000 + (ms - began_s * 1000) * STRETCH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=DATA, help=f"default: {DATA}")
    output = parser.parse_args().output
    print(f"{FRAMES * POLL_S:g} seconds of an incident ...", file=sys.stderr)
    server = RedisServer(VALKEY_9)
    try:
        server.start()
        with tempfile.TemporaryDirectory(dir=SHORT_TEMPORARY_FOLDER) as folder:
            socket = Path(folder, "s")
            with RunningSidecar(settings_of(socket, server.url, **SETTINGS)):
                snapshots = asyncio.run(play(socket))
    finally:
        server.close()
    lines = told(snapshots)
    output.write_text("".join(f"{line}\n" for line in lines))
    print(f"{output}: {len(lines) - 1} frames, {output.stat().st_size // 1024} KiB", file=sys.stderr)


if __name__ == "__main__":
    main()
