"""Looking at streams: what Redis says of them at this moment, with a lag that is right."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from rlb.bridge.claim import Limits
from rlb.domain.entry_id import EntryId
from rlb.domain.keys import Keys
from rlb.domain.lag import COUNT_CAP, Lag, lag_by_count, lag_by_position
from rlb.domain.stream_facts import GroupFacts, StreamFacts
from rlb.domain.stream_info import ConsumerInfo, GroupInfo, StreamInfo
from rlb.domain.stream_key import parse_stream_key
from rlb.errors import GroupNotFoundError, StreamGoneError, WrongTypeError
from rlb.redis_io import xinfo
from rlb.redis_io.link import Link
from rlb.redis_io.replies import ConnectionLostError, ReplyError, api_error, is_no_key
from rlb.redis_io.topology import Topology

BATCH = 100
"""Streams asked for in one go."""


class Inspector:
    """Reads StreamInfo from Redis."""

    def __init__(self, topology: Topology, keys: Keys, limits: Limits) -> None:
        self._topology = topology
        self._keys = keys
        self._limits = limits

    async def inspect(self, keys: Sequence[str]) -> list[StreamInfo]:
        """What there is to say of each stream that exists; the others are left out, as are keys of other types.

        Raises:
            ApiError: Redis did not answer.
        """
        found: list[StreamInfo] = []
        for start in range(0, len(keys), BATCH):
            infos = await asyncio.gather(*map(self._inspect_if_there, keys[start : start + BATCH]))
            found += [info for info in infos if info is not None]
        return found

    async def inspect_one(self, key: str) -> StreamInfo | None:
        """What there is to say of one stream; None if there is none.

        Raises:
            WrongTypeError: the key holds something else.
            ApiError: Redis did not answer.
        """
        try:
            return await self._inspect(key)
        except (StreamGoneError, GroupNotFoundError):
            # It went, or a group of it, between two questions.
            return await self._inspect(key) if await self._exists(key) else None

    async def _exists(self, key: str) -> bool:
        return bool(await self._topology.link_for(key).call(b"EXISTS", key, what=f"inspect {key}"))

    async def _inspect_if_there(self, key: str) -> StreamInfo | None:
        try:
            return await self._inspect(key)
        except (StreamGoneError, GroupNotFoundError, WrongTypeError):
            return None

    async def _inspect(self, key: str) -> StreamInfo | None:
        link = self._topology.link_for(key)
        stream_reply, group_reply, ttl_ms, config, newest, time = await link.batch_raw(
            [
                (b"XINFO", b"STREAM", key),
                (b"XINFO", b"GROUPS", key),
                (b"PTTL", key),
                (b"HMGET", self._keys.config(key), b"maxLength", b"retentionMs"),
                (b"XREVRANGE", key, b"+", b"-", b"COUNT", 1),
                (b"TIME",),
            ]
        )
        if isinstance(stream_reply, ReplyError) and is_no_key(stream_reply):
            return None
        for reply in (stream_reply, group_reply, ttl_ms, config, newest, time):
            if isinstance(reply, ReplyError | ConnectionLostError):
                raise api_error(reply, f"inspect {key}")
        now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
        facts = xinfo.stream_facts(stream_reply)
        groups = [await self._group(link, key, facts, group, now_ms) for group in xinfo.group_facts(group_reply)]
        stream = parse_stream_key(self._keys.prefix, key)
        last = xinfo.entries(newest)
        return StreamInfo(
            session_id=stream.session_id if stream is not None else None,
            model_id=stream.model_id if stream is not None else None,
            key=key,
            length=facts.length,
            entries_added=facts.entries_added,
            entries_trimmed=facts.entries_added - facts.length if facts.entries_added is not None else None,
            first_entry_id=_text(facts.first_id),
            last_entry_id=_text(facts.last_id),
            last_generated_id=str(facts.last_generated_id),
            age_seconds=_age_s(facts.first_id, now_ms),
            write_rate=None,
            bytes=None,
            ttl_seconds=ttl_ms / 1000 if ttl_ms >= 0 else None,
            max_length=int(config[0]) if config[0] is not None else self._limits.max_length,
            retention_ms=int(config[1]) if config[1] is not None else self._limits.retention_ms,
            complete=last[0].complete if last else None,
            groups=tuple(groups),
        )

    async def _group(self, link: Link, key: str, facts: StreamFacts, group: GroupFacts, now_ms: int) -> GroupInfo:
        lag = lag_by_position(facts, group)
        count = 1 if lag is not None else COUNT_CAP
        replies: list[Any] = await link.batch_raw(
            [
                (b"XRANGE", key, group.last_delivered_id.after, b"+", b"COUNT", count),
                (b"XINFO", b"CONSUMERS", key, group.name),
                (b"XPENDING", key, group.name),
            ]
        )
        for reply in replies:
            if isinstance(reply, ReplyError | ConnectionLostError):
                raise api_error(reply, f"inspect {key}")
        if lag is None:
            lag = lag_by_count(facts, group, len(replies[0]))
        return _group_info(group, lag, replies, now_ms)


def _group_info(group: GroupFacts, lag: Lag, replies: list[Any], now_ms: int) -> GroupInfo:
    undelivered, consumers, pending = replies
    oldest = xinfo.first_id(undelivered)
    return GroupInfo(
        group=group.name,
        lag=lag.entries,
        lag_quality=lag.quality,
        lag_upper_bound=lag.upper_bound,
        lag_seconds=_age_s(oldest, now_ms) if lag.entries else 0.0,
        pending=group.pending,
        oldest_pending_seconds=_age_s(xinfo.oldest_pending(pending), now_ms),
        longest_idle_seconds=None,
        poison=None,
        read_rate=None,
        lost_unread=None,
        headroom_seconds=None,
        status="unknown",
        reason=None,
        last_delivered_id=str(group.last_delivered_id),
        consumers=tuple(
            ConsumerInfo(
                consumer=each.name,
                pending=each.pending,
                idle_seconds=each.idle_ms / 1000,
                inactive_seconds=each.inactive_ms / 1000 if each.inactive_ms is not None else None,
                state="active",
            )
            for each in xinfo.consumer_facts(consumers)
        ),
    )


def _text(entry_id: EntryId | None) -> str | None:
    return str(entry_id) if entry_id is not None else None


def _age_s(entry_id: EntryId | None, now_ms: int) -> float | None:
    return max(0, now_ms - entry_id.ms) / 1000 if entry_id is not None else None
