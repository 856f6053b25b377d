"""Waiting for what a real source tells: a snapshot of a kind, that it is away, that it is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from rlb.domain.snapshot import Snapshot
from rlb_top.following import Lost
from rlb_top.source import SnapshotSource

PATIENCE_S = 20.0

Events = AsyncGenerator[Snapshot | Lost, None]
"""What `following.follow` gives."""


async def snapshot_of(source: SnapshotSource, is_it: Callable[[Snapshot], bool]) -> Snapshot:
    """The first snapshot of which it is so."""
    async with asyncio.timeout(PATIENCE_S), aclosing(source.watch()) as snapshots:
        async for snapshot in snapshots:
            if is_it(snapshot):
                return snapshot
    raise AssertionError("the snapshots have ended")


async def next_loss(events: Events) -> Lost:
    """The next time that the source is away."""
    async for event in events:
        if isinstance(event, Lost):
            return event
    raise AssertionError("the source has ended")


async def next_snapshot(events: Events) -> Snapshot:
    """The next snapshot, however often the source is away before."""
    async for event in events:
        if isinstance(event, Snapshot):
            return event
    raise AssertionError("the source has ended")
