"""One blocking connection of the shared reader, and the streams that it watches."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from rlb.bridge.page_size import PageSize
from rlb.domain.entry import Entry
from rlb.domain.entry_id import ZERO, EntryId
from rlb.errors import ApiError
from rlb.redis_io import xinfo
from rlb.redis_io.command import encode
from rlb.redis_io.link import Link
from rlb.redis_io.replies import ReplyError, is_no_key

_log = logging.getLogger("rlb.reader")

READ_COUNT = 500
"""Entries of one stream that one read returns at most."""


READ_BYTES = 1024 * 1024
"""About the most bytes of one stream that one read returns."""

NUDGE_S = 0.05
"""How soon a read that was not unblocked is unblocked again."""


NOT_TOLD = -1
"""In place of a connection's id where the ACL denies CLIENT ID or CLIENT UNBLOCK: then reads block for
`SHORT_BLOCK_MS` at most, as nothing can end them early."""

SHORT_BLOCK_MS = 250


class Listener(Protocol):
    """What follows a stream. Called in the loop's thread; must not wait."""

    def on_entries(self, entries: Sequence[Entry]) -> None:
        """Entries that follow what was passed on before, in order."""
        ...

    def on_gone(self) -> None:
        """The stream has expired, been deleted, or been made anew with smaller ids."""
        ...


class Channel:
    """One followed stream: who follows it, and up to where it has been passed on."""

    __slots__ = ("cursor", "fed_s", "key", "listeners", "quiet_s")

    def __init__(self, key: str, cursor: EntryId, now_s: float) -> None:
        self.key = key
        self.cursor = cursor
        self.fed_s = 0.0
        """When the append path last fed it."""
        self.quiet_s = now_s
        """Since when nothing has come."""
        self.listeners: set[Listener] = set()

    def pass_on(self, entries: Sequence[Entry], now_s: float) -> None:
        """Give the listeners what they have not had yet."""
        fresh = [entry for entry in entries if entry.id > self.cursor]
        if not fresh:
            return
        self.cursor = fresh[-1].id
        self.quiet_s = now_s
        for listener in tuple(self.listeners):
            listener.on_entries(fresh)


class Shard:
    """One blocking connection and the channels that it watches."""

    def __init__(self, link: Link, commands: Link, block_ms: int, feed_idle_s: float) -> None:
        self.channels: dict[str, Channel] = {}
        self.reads = 0
        """Blocking reads sent to Redis."""
        self._link = link
        self._commands = commands
        self._block_ms = block_ms
        self._feed_idle_s = feed_idle_s
        self._client_id: int | None = None
        self._page = PageSize(READ_BYTES, READ_COUNT)
        self._changed = asyncio.Event()
        self._nudging: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect and begin to read."""
        self._link.on_down(self._forget_client)
        self._link.start()
        self._task = asyncio.create_task(self._run(), name="shared reader")

    async def close(self) -> None:
        """Stop reading."""
        if self._nudging is not None:
            self._nudging.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._link.close()

    def wake(self) -> None:
        """Begin the next read now: the channels to watch have changed."""
        self._changed.set()
        if self._nudging is None:
            self._nudge()

    def _nudge(self) -> None:
        """Unblock the read that is under way, again if need be: on its own connection it may be slower than we here."""
        self._nudging = None
        if not self._changed.is_set():
            return
        if self._client_id not in (None, NOT_TOLD) and self._commands.is_up:
            with contextlib.suppress(ApiError):
                self._commands.send(encode(b"CLIENT", b"UNBLOCK", self._client_id), self._on_unblocked)
        self._nudging = asyncio.get_running_loop().call_later(NUDGE_S, self._nudge)

    def _on_unblocked(self, reply: Any) -> None:
        if isinstance(reply, ReplyError):
            self._client_id = NOT_TOLD

    def _forget_client(self) -> None:
        self._client_id = None

    async def _run(self) -> None:
        while True:
            try:
                if self._client_id is None:
                    self._client_id = await self._link.call(b"CLIENT", b"ID", what="reader")
            except ReplyError:
                self._client_id = NOT_TOLD
            except ApiError as error:
                _log.debug("reader.not_connected", extra={"reason": error.detail})
                await asyncio.sleep(0.05)
                continue
            # From here to the sending of the read nothing may wait: whoever changes the channels unblocks that read.
            self._changed.clear()
            watched = self._watched()
            if not watched:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._feed_idle_s if self.channels else None):
                        await self._changed.wait()
                continue
            try:
                await self._read(watched)
            except ReplyError as error:
                with contextlib.suppress(ReplyError, ApiError):
                    await self._after_refusal(error, watched)
                await asyncio.sleep(0.05)
            except ApiError as error:
                _log.debug("reader.read_failed", extra={"reason": error.detail})
                await asyncio.sleep(0.05)

    def _watched(self) -> list[Channel]:
        now_s = asyncio.get_running_loop().time()
        return [channel for channel in self.channels.values() if now_s - channel.fed_s > self._feed_idle_s]

    async def _read(self, watched: list[Channel]) -> None:
        # While fed channels are not watched, look again in time for one whose feed has stopped.
        block_ms = self._block_ms if len(watched) == len(self.channels) else int(self._feed_idle_s * 1000)
        if self._client_id == NOT_TOLD:
            block_ms = min(block_ms, SHORT_BLOCK_MS)
        keys = [channel.key for channel in watched]
        cursors = [channel.cursor.wire for channel in watched]
        self.reads += 1
        reply: Any = await self._link.call(
            b"XREAD", b"COUNT", self._page.count, b"BLOCK", block_ms, b"STREAMS", *keys, *cursors, what="read"
        )
        now_s = asyncio.get_running_loop().time()
        for key, entries in xinfo.streams(reply):
            self._page.learn(entries)
            if (channel := self.channels.get(key)) is not None:
                channel.pass_on(entries, now_s)
        await self._look_after_quiet(watched, now_s)

    async def _after_refusal(self, error: ReplyError, watched: list[Channel]) -> None:
        if error.prefix == "WRONGTYPE":
            # One key that is no stream must not keep the others from being read.
            for channel in watched:
                kind = await self._commands.call(b"TYPE", channel.key)
                if kind not in (b"stream", b"none"):
                    self._gone(channel)

    async def _look_after_quiet(self, watched: list[Channel], now_s: float) -> None:
        """A read of a stream that is gone, or was made anew with smaller ids, would wait for ever: look."""
        quiet = [
            channel
            for channel in watched
            if channel.cursor > ZERO and now_s - channel.quiet_s > self._block_ms / 1000 and channel.listeners
        ]
        if not quiet:
            return
        cursors = [channel.cursor for channel in quiet]
        replies = await self._commands.batch_raw([(b"XINFO", b"STREAM", channel.key) for channel in quiet])
        for channel, cursor, reply in zip(quiet, cursors, replies, strict=True):
            channel.quiet_s = now_s
            # What has been passed on since is not in the reply, and shows that the stream is there.
            if channel.cursor == cursor and _is_gone(cursor, reply):
                self._gone(channel)

    def _gone(self, channel: Channel) -> None:
        self.channels.pop(channel.key, None)
        for listener in tuple(channel.listeners):
            listener.on_gone()


def _is_gone(cursor: EntryId, xinfo_reply: Any) -> bool:
    if isinstance(xinfo_reply, ReplyError):
        return is_no_key(xinfo_reply)
    return isinstance(xinfo_reply, list) and xinfo.stream_facts(xinfo_reply).last_generated_id < cursor
