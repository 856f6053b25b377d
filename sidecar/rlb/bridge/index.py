"""Which streams there are: the index that sidecars keep, and now and then a sweep for streams that others write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from rlb.domain.keys import Keys
from rlb.domain.stream_key import StreamKey, parse_stream_key
from rlb.errors import ApiError
from rlb.redis_io.replies import ReplyError, api_error
from rlb.redis_io.topology import Topology

_log = logging.getLogger("rlb.index")

POLL_S = 0.2
"""How often the index is asked for streams that have become active; only while somebody listens."""

SWEEP_S = 30.0
"""How often the key space is swept for streams that are not in the index; only while somebody listens."""

OVERLAP_MS = 2000
"""Scores are noted a moment after the append: look back this far so that none is passed over."""

REMEMBER_MS = 7 * 86_400_000
"""A stream that is gone is told from one that never was for this long after its last activity."""

SCAN_COUNT = 1000

OnStream = Callable[[StreamKey], None]


class StreamIndex:
    """Lists streams, and tells listeners of active ones."""

    def __init__(self, topology: Topology, keys: Keys) -> None:
        self._topology = topology
        self._keys = keys
        self._listeners: set[OnStream] = set()
        self._since_ms = 0
        self._next_sweep_s = 0.0
        self._task: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def listen(self, listener: OnStream) -> None:
        """Tell `listener` of every stream there is, then of each that becomes active; some more than once."""
        self._listeners.add(listener)
        # Everybody hears of everything again: a listener has to bear that anyway.
        self._since_ms = 0
        self._next_sweep_s = 0.0
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="stream index")

    def unlisten(self, listener: OnStream) -> None:
        """Tell `listener` no more."""
        self._listeners.discard(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def known(self) -> list[str]:
        """The keys in the index, in lexical order.

        Raises:
            ApiError: Redis did not answer.
        """
        return sorted(key.decode("utf-8", "replace") for key in await self._call(b"ZRANGE", 0, -1))

    async def swept(self) -> AsyncIterator[str]:
        """Every stream key below the prefix, by SCAN; some more than once."""
        cursor: bytes = b"0"
        link = self._topology.link_for(self._keys.index)
        while True:
            pattern = f"{self._keys.prefix}:*"
            try:
                cursor, keys = await link.call(
                    b"SCAN", cursor, b"MATCH", pattern, b"COUNT", SCAN_COUNT, b"TYPE", b"stream", what="sweep"
                )
            except ReplyError as error:
                raise api_error(error, "sweep for streams") from None
            for key in keys:
                yield key.decode("utf-8", "replace")
            if cursor == b"0":
                return

    async def _call(self, command: bytes, *args: bytes | str | int) -> list[bytes]:
        index = self._keys.index
        try:
            reply: list[bytes] = await self._topology.link_for(index).call(command, index, *args, what="index")
        except ReplyError as error:
            raise api_error(error, "index of streams") from None
        return reply

    def _tell(self, key: str) -> None:
        if (stream := parse_stream_key(self._keys.prefix, key)) is not None:
            for listener in tuple(self._listeners):
                listener(stream)

    async def _watch(self) -> None:
        while True:
            try:
                await self._look()
            except ApiError as error:
                _log.debug("index.look_failed", extra={"reason": error.detail})
            except Exception as error:  # noqa: BLE001 - whatever stands in the index must not end the looking
                _log.error("index.look_failed", extra={"fault": type(error).__name__})
            await asyncio.sleep(POLL_S)

    async def _look(self) -> None:
        """Tell of what has become active since the last look; now and then of all there is, and tidy up."""
        since_ms = self._since_ms
        seconds, micros = await self._topology.link_for(self._keys.index).call(b"TIME", what="index")
        # Redis's clock, not the scores: one score from the future would hide all that comes before it.
        self._since_ms = int(seconds) * 1000 + int(micros) // 1000 - OVERLAP_MS
        for key in await self._call(b"ZRANGEBYSCORE", since_ms, b"+inf"):
            self._tell(key.decode("utf-8", "replace"))
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_sweep_s:
            self._next_sweep_s = loop.time() + SWEEP_S
            await self._call(b"ZREMRANGEBYSCORE", b"-inf", self._since_ms - REMEMBER_MS)
            async for swept in self.swept():
                self._tell(swept)
