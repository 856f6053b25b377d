"""The probe: now and then an entry of our own goes the way of a token, from XADD to XREADGROUP, and is timed.

Its stream is nobody else's: each process has one under a name of its own, which is no stream of rlb's by any template,
is kept to a few entries, and expires when the process has gone. The write takes the link that tokens take.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any

from rlb.domain.keys import Keys
from rlb.errors import ApiError
from rlb.redis_io import xinfo
from rlb.redis_io.replies import ConnectionLostError, ReplyError, api_error
from rlb.redis_io.topology import Topology

_log = logging.getLogger("rlb.probe")

GROUP = b"probe"
FIELD = b"nonce"
KEPT = 16
"""Entries kept in the stream."""

TIMEOUT_S = 5.0
"""How long one round trip may take before it has failed."""

BLOCK_S = 1.0
"""How long one read blocks; only while a round trip is under way."""

LIFE_S = 60.0
"""How long the stream outlives the last write; three pauses, if those are longer."""

RETRY_S = 0.1
"""The pause after a read that failed."""

REMOVE_S = 2.0
"""How long a close waits for Redis to remove the stream; one that is left expires."""


class Probe:
    """Makes a round trip every `every_s`; `on_done` gets its duration in seconds, None for one that has failed."""

    def __init__(
        self,
        topology: Topology,
        keys: Keys,
        every_s: float,
        on_done: Callable[[float | None], None],
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.key = keys.probe(secrets.token_hex(6))
        self.reason: str | None = None
        """Why the last round trip failed; None if it did not."""
        self._every_s = every_s
        self._timeout_s = timeout_s
        self._life_ms = round(1000 * max(LIFE_S, 3 * every_s))
        self._on_done = on_done
        self._topology = topology
        self._reader = topology.blocking_link(self.key, "probe", BLOCK_S)
        self._waiting: dict[bytes, asyncio.Future[float]] = {}
        self._is_waited_for = asyncio.Event()
        self._is_fresh = True
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to connect, and to probe."""
        self._reader.start()
        self._tasks = [
            asyncio.create_task(self._read(), name="probe reader"),
            asyncio.create_task(self._run(), name="probe"),
        ]

    async def close(self) -> None:
        """Stop, and remove the stream if Redis is there."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._reader.close()
        link = self._topology.link_for(self.key)
        if self._tasks and link.is_up:
            try:
                async with asyncio.timeout(REMOVE_S):
                    await link.batch_raw([(b"DEL", self.key)])
            except (ApiError, TimeoutError):
                pass  # It expires.

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            begun_s = loop.time()
            self._tell(*await self.attempt())
            await asyncio.sleep(max(0.0, begun_s + self._every_s - loop.time()))

    def _tell(self, seconds: float | None, reason: str | None) -> None:
        if reason is not None and self.reason is None:
            _log.warning("probe.failed", extra={"reason": reason})
        elif reason is None and self.reason is not None:
            _log.info("probe.recovered")
        self.reason = reason
        self._on_done(seconds)

    async def attempt(self) -> tuple[float | None, str | None]:
        """One round trip: its duration in seconds, or why there is none."""
        nonce = secrets.token_hex(8).encode()
        arrived: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._topology.link_for(self.key).ready()
                self._waiting[nonce] = arrived
                self._is_waited_for.set()
                begun_s = time.monotonic()
                await self._write(nonce)
                return await arrived - begun_s, None
        except TimeoutError:
            reason = f"no answer within {self._timeout_s:g} s"
        except ReplyError as error:
            reason = f"Redis answered {error.summary}"
        except ApiError as error:
            reason = error.detail
        finally:
            self._waiting.pop(nonce, None)
        # What was left unread or unacknowledged is not to be met again.
        self._is_fresh = True
        return None, reason

    async def _write(self, nonce: bytes) -> None:
        """Write the entry, in one go with the stream and group that it may need."""
        commands: list[tuple[bytes | str | int, ...]] = [
            (b"XGROUP", b"CREATE", self.key, GROUP, b"0", b"MKSTREAM"),
            (b"PEXPIRE", self.key, self._life_ms),
            (b"XADD", self.key, b"MAXLEN", KEPT, b"*", FIELD, nonce),
        ]
        if self._is_fresh:
            commands.insert(0, (b"DEL", self.key))
        for reply in await self._topology.link_for(self.key).batch_raw(commands):
            if isinstance(reply, ConnectionLostError):
                raise api_error(reply, "probe")
            if isinstance(reply, ReplyError) and reply.prefix != "BUSYGROUP":
                raise reply
        self._is_fresh = False

    async def _read(self) -> None:
        """Read what the probe has written, while it waits for something; every reply is looked at, late or not."""
        read = (b"XREADGROUP", b"GROUP", GROUP, b"probe", b"COUNT", KEPT, b"BLOCK", round(1000 * BLOCK_S))
        while True:
            if not self._waiting:
                self._is_waited_for.clear()
                await self._is_waited_for.wait()
            try:
                await self._take(await self._reader.call(*read, b"STREAMS", self.key, b">", what="probe"))
            except (ApiError, ReplyError):
                # The stream may just be made anew; the round trip tells if it is more than that.
                await asyncio.sleep(RETRY_S)

    async def _take(self, reply: Any) -> None:
        # Not the loop's clock: that of uvloop goes by whole milliseconds.
        now_s = time.monotonic()
        for _, rows in reply or ():
            for entry_id, fields in rows:
                arrived = self._waiting.get(xinfo.fields_of(fields).get(FIELD, b""))
                if arrived is not None and not arrived.done():
                    arrived.set_result(now_s)
                await self._reader.batch_raw([(b"XACK", self.key, GROUP, entry_id)])
