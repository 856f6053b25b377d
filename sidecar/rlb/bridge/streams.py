"""Operations on whole streams: create, list, look, trim, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from rlb.bridge.groups import Groups
from rlb.bridge.index import StreamIndex
from rlb.bridge.inspection import Inspector
from rlb.domain.keys import Keys
from rlb.domain.message import StreamConfig
from rlb.domain.stream_info import GroupStatus, StreamInfo, StreamPage
from rlb.domain.stream_key import StreamKey, checked_name, parse_stream_key
from rlb.errors import InvalidMessageError, StreamGoneError, StreamNotFoundError
from rlb.redis_io.command import Arg
from rlb.redis_io.replies import ReplyError, api_error
from rlb.redis_io.scripts import CREATE_STREAM, DELETE_STREAM
from rlb.redis_io.topology import Topology

Sort = Literal["key", "length", "age", "lag", "pending"]
SORTS: tuple[Sort, ...] = get_args(Sort)
STATUSES: tuple[GroupStatus, ...] = get_args(GroupStatus)

STATUS_PAGE = 500
"""Streams that are looked at together for those of a status."""

_LARGEST_FIRST: dict[Sort, Callable[[StreamInfo], float]] = {
    "length": lambda info: info.length,
    "age": lambda info: info.age_seconds or 0,
    "lag": lambda info: max((group.lag or 0 for group in info.groups), default=0),
    "pending": lambda info: sum(group.pending for group in info.groups),
}


class Streams:
    """The management side."""

    def __init__(
        self, topology: Topology, keys: Keys, index: StreamIndex, inspector: Inspector, groups: Groups
    ) -> None:
        self._topology = topology
        self._keys = keys
        self._index = index
        self._inspector = inspector
        self._groups = groups

    async def create(self, stream: StreamKey, config: StreamConfig | None) -> bool:
        """Make an empty stream with its own bounds and, if named, a group; False if the stream was there.

        The bounds of a stream that was there are set all the same; writers take them up within a second.
        """
        config = config or StreamConfig()
        group = checked_name("config.consumerGroup", config.consumer_group) if config.consumer_group else None
        bounds: list[Arg] = []
        if config.max_length is not None:
            bounds += [b"maxLength", config.max_length]
        if config.retention_ms is not None:
            bounds += [b"retentionMs", config.retention_ms]
        if bounds:
            await self._call(stream.key, b"HSET", self._keys.config(stream.key), *bounds)
        life_ms = self._groups.rules.retention_ms if config.retention_ms is None else config.retention_ms
        is_new = bool(await self._call(stream.key, b"EVAL", CREATE_STREAM.text, 1, stream.key, life_ms))
        if group is not None:
            await self._groups.create(stream, group, "0", retention_ms=life_ms)
        if bounds and (ttl_ms := await self._call(stream.key, b"PTTL", stream.key)) > 0:
            await self._call(stream.key, b"PEXPIRE", self._keys.config(stream.key), ttl_ms)
        seconds, micros = await self._call(self._keys.index, b"TIME")
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        await self._call(self._keys.index, b"ZADD", self._keys.index, now_ms, stream.key)
        return is_new

    async def info(self, stream: StreamKey) -> StreamInfo:
        """One stream, as it is now.

        Raises:
            StreamGoneError: it has expired or been deleted.
            StreamNotFoundError: it has never existed.
        """
        found = await self._inspector.look_at(stream.key)
        if found is None:
            raise await self.missing(stream)
        return found

    async def missing(self, stream: StreamKey) -> StreamGoneError | StreamNotFoundError:
        """Why a stream is not there: gone, or never was."""
        if await self._call(self._keys.index, b"ZSCORE", self._keys.index, stream.key) is not None:
            return StreamGoneError(f"{stream.key} has expired or been deleted")
        return StreamNotFoundError(f"{stream.key} does not exist")

    async def page(
        self, *, model_id: str | None, sort: Sort, limit: int, cursor: str | None, status: GroupStatus | None = None
    ) -> StreamPage:
        """A page of streams: by key, or the largest values first; only those on which a group has that status."""
        keys = set(await self._index.known())
        async for key in self._index.swept():
            keys.add(key)
        chosen = sorted(key for key in keys if self._matches(key, model_id))
        if sort == "key":
            chosen = [key for key in chosen if cursor is None or key > cursor]
            infos: list[StreamInfo] = []
            while chosen and len(infos) <= limit:
                # A status may fit few of them.
                wanted = limit + 1 - len(infos) if status is None else STATUS_PAGE
                infos += _of_status(await self._inspector.look(chosen[:wanted]), status)
                chosen = chosen[wanted:]
        else:
            infos = _of_status(await self._inspector.look(chosen), status)
            infos.sort(key=lambda info: (-_LARGEST_FIRST[sort](info), info.key))
            infos = infos[_offset(cursor) :]
        page, more = infos[:limit], len(infos) > limit
        next_cursor = (page[-1].key if sort == "key" else str(_offset(cursor) + limit)) if more else None
        return StreamPage(streams=tuple(page), next_cursor=next_cursor)

    def _matches(self, key: str, model_id: str | None) -> bool:
        stream = parse_stream_key(self._keys.prefix, key)
        return stream is not None and (model_id is None or stream.model_id == model_id)

    async def trim(self, stream: StreamKey, *, max_length: int | None, older_than_ms: int | None) -> int:
        """Remove the oldest entries, exactly; gives how many were removed.

        Raises:
            InvalidMessageError: not exactly one of the two bounds was given.
        """
        if (max_length is None) == (older_than_ms is None):
            raise InvalidMessageError("give either maxLength or olderThanMs")
        if max_length is not None:
            bound: tuple[Arg, ...] = (b"MAXLEN", b"=", max_length)
        else:
            seconds, micros = await self._call(stream.key, b"TIME")
            now_ms = int(seconds) * 1000 + int(micros) // 1000
            bound = (b"MINID", b"=", max(0, now_ms - (older_than_ms or 0)))
        if not await self._call(stream.key, b"EXISTS", stream.key):
            raise await self.missing(stream)
        removed: int = await self._call(stream.key, b"XTRIM", stream.key, *bound)
        return removed

    async def delete(self, stream: StreamKey) -> None:
        """Delete a stream with its groups; whoever follows it is told.

        Raises:
            StreamNotFoundError, StreamGoneError: there was none.
        """
        text = (b"EVAL", DELETE_STREAM.text, 2, stream.key, self._keys.config(stream.key))
        if not await self._call(stream.key, *text):
            raise await self.missing(stream)

    async def _call(self, key: str, *args: Arg) -> Any:
        try:
            return await self._topology.link_for(key).call(*args, what=f"operate on {key}")
        except ReplyError as error:
            raise api_error(error, f"operate on {key}") from None


def _of_status(infos: list[StreamInfo], status: GroupStatus | None) -> list[StreamInfo]:
    return [info for info in infos if status is None or any(group.status == status for group in info.groups)]


def _offset(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isdecimal() or len(cursor) > 9:
        raise InvalidMessageError("cursor: expected one that a page gave")
    return int(cursor)
