"""A source of snapshots that a test hands out one by one, and snapshots to hand out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlb.domain.snapshot import GenerationInfo, RedisInfo, SidecarInfo, Snapshot, TotalsInfo
from rlb.domain.stream_info import ConsumerInfo, GroupInfo, StreamInfo
from rlb_top.actions import ActionFailedError, PendingEntry, StreamName
from rlb_top.source import Component, Piece, Playback, SourceKind, SourceLostError, checked_interval

AT = 1_790_000_000.0
"""The Redis time of the first snapshot: 2026-09-21 14:13:20 UTC."""


def consumer(name: str = "app-1", **changes: Any) -> ConsumerInfo:
    """A consumer that calls."""
    usual = {"pending": 0, "idle_seconds": 0.4, "inactive_seconds": 0.4, "state": "active"}
    return ConsumerInfo(consumer=name, **(usual | changes))


def group(name: str = "app", **changes: Any) -> GroupInfo:
    """A group that keeps up."""
    usual: dict[str, Any] = {
        "lag": 0,
        "lag_quality": "exact",
        "lag_upper_bound": None,
        "lag_seconds": 0.0,
        "pending": 0,
        "oldest_pending_seconds": None,
        "longest_idle_seconds": None,
        "poison": 0,
        "read_rate": 42.0,
        "lost_unread": 0,
        "headroom_seconds": None,
        "status": "ok",
        "reason": None,
        "last_delivered_id": "1790000000000-0",
        "consumers": (consumer(),),
    }
    return GroupInfo(group=name, **(usual | changes))


def stream(session: str = "s-1", model: str = "llama-3.1-8b", *groups: GroupInfo, **changes: Any) -> StreamInfo:
    """A stream that is written to, with these groups."""
    usual: dict[str, Any] = {
        "session_id": session,
        "model_id": model,
        "key": f"stream:{session}:{model}",
        "length": 1200,
        "entries_added": 5400,
        "entries_trimmed": 4200,
        "first_entry_id": "1789999900000-0",
        "last_entry_id": "1790000000000-0",
        "last_generated_id": "1790000000000-0",
        "age_seconds": 100.0,
        "write_rate": 42.0,
        "bytes": 310_000,
        "ttl_seconds": 3600.0,
        "max_length": 10_000,
        "retention_ms": None,
        "complete": False,
        "groups": groups,
    }
    return StreamInfo(**(usual | changes))


def snapshot(*streams: StreamInfo, at: float | None = AT, **changes: Any) -> Snapshot:
    """A snapshot of these streams; its totals are theirs, unless `totals` says otherwise."""
    groups = [each for one in streams for each in one.groups]
    ages = [each.lag_seconds for each in groups if each.lag_seconds is not None]
    totals: dict[str, Any] = {
        "streams": len(streams),
        "groups": len(groups),
        "tokens_in": sum(one.write_rate or 0.0 for one in streams),
        "tokens_out": sum(each.read_rate or 0.0 for each in groups),
        "worst_lag_seconds": max(ages, default=None),
        "lost_unread": sum(each.lost_unread or 0 for each in groups),
        "unknown_lag": sum(each.lag_quality == "unknown" for each in groups),
    }
    usual: dict[str, Any] = {
        "at": at,
        "poll_seconds": 0.012,
        "sidecar": SidecarInfo(version="0.5.0", instance="sidecar-1", scope="own"),
        "redis": RedisInfo(up=True, version="valkey 9.1.2", clock_skew_seconds=0.001, reason=None),
        "totals": TotalsInfo(**(totals | changes.pop("totals", {}))),
        "streams": streams,
        "generations": (),
    }
    return Snapshot(**(usual | changes))


def generation(session: str = "s-1", model: str = "llama-3.1-8b", **changes: Any) -> GenerationInfo:
    """A generation that is being written."""
    usual = {"tokens": 310, "tokens_per_second": 42.0, "since_last_token_seconds": 0.02, "state": "active"}
    return GenerationInfo(session_id=session, model_id=model, **(usual | changes))


@dataclass
class ScriptedActions:
    """Notes what is done; fails with `error` if there is one, an exception that nobody expects or a reason."""

    done: list[tuple[Any, ...]] = field(default_factory=list)
    error: str | Exception | None = None
    entries: list[PendingEntry] = field(default_factory=list)

    def _note(self, *what: Any) -> None:
        self._fail()
        self.done.append(what)

    def _fail(self) -> None:
        if isinstance(self.error, Exception):
            raise self.error
        if self.error is not None:
            raise ActionFailedError(self.error)

    async def pending(
        self, stream: StreamName, group: str, consumer: str | None = None, limit: int = 500
    ) -> Sequence[PendingEntry]:
        self._fail()
        return [each for each in self.entries if consumer in (None, each.consumer)][:limit]

    async def acknowledge(self, stream: StreamName, group: str, entry_ids: Sequence[str]) -> int:
        self._note("acknowledge", stream.key, group, tuple(entry_ids))
        return len(entry_ids)

    async def claim(self, stream: StreamName, group: str, consumer: str, entry_ids: Sequence[str]) -> int:
        self._note("claim", stream.key, group, consumer, tuple(entry_ids))
        return len(entry_ids)

    async def bury(self, stream: StreamName, group: str, entry_ids: Sequence[str], reason: str) -> int:
        self._note("bury", stream.key, group, tuple(entry_ids), reason)
        return len(entry_ids)

    async def replay(self, group: str, ids: Sequence[str]) -> int:
        self._note("replay", group, tuple(ids))
        return len(ids)

    async def trim(self, stream: StreamName, *, max_length: int) -> int:
        self._note("trim", stream.key, max_length)
        return 200

    async def remove_consumer(self, stream: StreamName, group: str, consumer: str) -> bool:
        self._note("remove_consumer", stream.key, group, consumer)
        return True


class ScriptedContent:
    """Generations that a test writes."""

    def __init__(self, *pieces: Piece) -> None:
        self.pieces = pieces
        self.asked: list[tuple[str, str]] = []

    async def tail(self, session_id: str, model_id: str) -> AsyncIterator[Piece]:
        self.asked.append((session_id, model_id))
        for piece in self.pieces:
            yield piece


class ScriptedSource:
    """Gives what `push` and `lose` hand it, in order."""

    name = "/run/rlb/rlb.sock"
    kind: SourceKind = "socket"
    playback: Playback | None = None

    def __init__(
        self,
        *pictures: Snapshot,
        actions: ScriptedActions | None = None,
        content: ScriptedContent | None = None,
        components: Sequence[Component] = (),
    ) -> None:
        self.actions = self.details = actions
        self.content = content
        self.interval_s: float | None = 1.0
        self.components = components
        self.closed = False
        self.watched = 0
        self._is_waiting = False
        self._queue: asyncio.Queue[Snapshot | Exception] = asyncio.Queue()
        for picture in pictures:
            self.push(picture)

    def push(self, picture: Snapshot) -> None:
        """Have the source give this snapshot."""
        self._queue.put_nowait(picture)

    def lose(self, reason: str | Exception) -> None:
        """Have the source go away, or raise an error that nobody expects."""
        self._queue.put_nowait(reason if isinstance(reason, Exception) else SourceLostError(reason))

    @property
    def is_drained(self) -> bool:
        """Whether everything has been asked for, and the next thing is waited for."""
        return self._is_waiting and self._queue.empty()

    async def watch(self) -> AsyncIterator[Snapshot]:
        self.watched += 1
        while True:
            self._is_waiting = True
            found = await self._queue.get()
            self._is_waiting = False
            if isinstance(found, Exception):
                raise found
            yield found

    async def set_interval(self, seconds: float) -> None:
        self.interval_s = checked_interval(seconds)

    async def health(self) -> Sequence[Component]:
        return self.components

    async def close(self) -> None:
        self.closed = True
