"""A server with very many streams, as a busy bridge leaves behind: what polls and scrapes are measured on."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.monitor.oracle.wire import Command, Wire
from tests.servers.process import RedisServer

GROUP = "workers"
MODELS = 20
ENTRIES = 8
CHUNK = 500
"""Streams made in one pipeline."""


def _stream(number: int) -> Iterator[Command]:
    """One stream with its group: half of them read to the end, a quarter half read, a quarter with unacked entries."""
    model = f"model-{number % MODELS}"
    key = f"llm:stream:s-{number}:{model}"
    yield ("XGROUP", "CREATE", key, GROUP, "0", "MKSTREAM")
    for sequence in range(ENTRIES):
        message = {
            "id": f"{number}-{sequence}",
            "sessionId": f"s-{number}",
            "modelId": model,
            "token": " token",
            "metadata": {"timestamp": 1, "sequence": sequence, "isComplete": sequence == ENTRIES - 1, "model": model},
            "payload": {"content": " token", "role": "assistant"},
        }
        yield ("XADD", key, "*", "data", json.dumps(message))
    how = number % 4
    count = ENTRIES // 2 if how == 2 else ENTRIES
    acks = () if how == 3 else ("NOACK",)
    yield ("XREADGROUP", "GROUP", GROUP, f"c-{number % 3}", "COUNT", count, *acks, "STREAMS", key, ">")


def fill(server: RedisServer, start: int, stop: int) -> None:
    """Make the streams of these numbers."""
    with Wire(server) as wire:
        for first in range(start, stop, CHUNK):
            commands = [command for number in range(first, min(stop, first + CHUNK)) for command in _stream(number)]
            for reply in wire.ask(commands):
                if isinstance(reply, Exception):
                    raise reply


def expected_lag(streams: int) -> int:
    """The entries that the group has not been handed, on all streams together."""
    return sum(ENTRIES - ENTRIES // 2 for number in range(streams) if number % 4 == 2)
