"""Following a source: its snapshots, and when it is away and is tried again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from rlb.domain.snapshot import Snapshot
from rlb_top.faults import words_of
from rlb_top.source import SnapshotSource

FIRST_RETRY_S = 0.25
LONGEST_RETRY_S = 5.0
"""Pauses between two attempts double between these, each shortened at random by up to a quarter."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The source is away. `retry_s` is the pause before the next attempt, `attempts` how many failed in a row."""

    reason: str
    retry_s: float
    attempts: int


async def follow(
    source: SnapshotSource, taken: Callable[[Snapshot], object] = lambda _: None
) -> AsyncGenerator[Snapshot | Lost, None]:
    """Every snapshot, and a `Lost` for every attempt that failed; it ends only where a recording does.

    `taken` is told of each snapshot before; a fault of it is one of the attempt. A lost source is tried again by
    itself, after a pause that grows, and so is one with a fault. There is no word for a source that is back: the next
    snapshot says it.
    """
    attempts = 0
    while True:
        try:
            async with aclosing(source.watch()) as snapshots:
                async for snapshot in snapshots:
                    taken(snapshot)
                    attempts = 0
                    yield snapshot
        except Exception as error:  # noqa: BLE001 - of whatever kind: see faults
            pause_s = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** min(attempts, 10)) * random.uniform(0.75, 1.0)
            attempts += 1
            yield Lost(words_of(error), pause_s, attempts)
            await asyncio.sleep(pause_s)
        else:
            return
