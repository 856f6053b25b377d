"""The lease: of many observers one polls, and another takes over when it falls silent.

A key in Redis names the leader and ends by itself. The leader renews it three times in its life. It counts the life
from before it asked, by its own clock, and less a margin: so it stops before the key ends, even when Redis no longer
answers or the process was stopped for a while, and no other can have begun. After a fail-over that lost the key, two
may lead until the first of them renews: polling twice does no harm, as queries take the largest value.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Callable

from rlb.domain.keys import Keys
from rlb.errors import ApiError
from rlb.redis_io.monitor_scripts import HOLD_LEASE, RELEASE_LEASE
from rlb.redis_io.replies import ReplyError
from rlb.redis_io.topology import Topology

_log = logging.getLogger("rlb.lease")

MARGIN = 0.1
"""Part of its life by which the leader stops early."""

RENEWALS = 3
"""Attempts to renew in a life, and to take over."""

NUDGE_S = 0.005
"""How long after a lease's end another tries to get it."""

RELEASE_S = 2.0
"""How long a close waits for Redis; a lease that is not given up ends by itself."""


NOT_ASKED = "not asked yet"


def lease_name(held: bytes) -> str:
    """A short name of a lease by what its key holds: no other holder's has the same, and it fits a label."""
    return hashlib.sha256(held).hexdigest()[:8]


class Lease:
    """One candidate's view. `on_taken` and `on_lost` are called in turn, in the loop, and must not raise."""

    def __init__(
        self,
        topology: Topology,
        keys: Keys,
        owner: str,
        seconds: float,
        on_taken: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.reason: str | None = NOT_ASKED
        """Why it is not known who leads; None if it is."""
        self._key = keys.observer
        # Two processes with one name must not both believe that it is theirs.
        self._owner = f"{owner}/{secrets.token_hex(8)}"
        self.name = lease_name(self._owner.encode())
        """The name of the lease while it is ours; sidecars find it in Redis."""
        self._seconds = seconds
        self._on_taken = on_taken
        self._on_lost = on_lost
        self._on_unanswered: Callable[[str], None] = lambda _: None
        # A link of its own: a renewal must not queue behind a poll.
        self._link = topology.blocking_link(self._key, "lease", 0.0)
        self._until_s = 0.0
        self._was_leader = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def on_unanswered(self, listener: Callable[[str], None]) -> None:
        """Tell `listener` each time that Redis does not answer, and why."""
        self._on_unanswered = listener

    @property
    def is_leader(self) -> bool:
        """Whether the lease is ours at this moment."""
        return self._task is not None and asyncio.get_running_loop().time() < self._until_s

    def start(self) -> None:
        """Begin to ask for it, in the background."""
        self._link.start()
        self._task = asyncio.create_task(self._run(), name="lease")

    async def close(self) -> None:
        """Stop leading, then give the lease up, so that another can begin at once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        was_leader = self.is_leader
        self._let_go("stopping")
        if was_leader:
            await self._release()
        await self._link.close()

    async def _release(self) -> None:
        try:
            async with asyncio.timeout(RELEASE_S):
                await self._link.call(b"EVAL", RELEASE_LEASE.text, 1, self._key, self._owner, what="lease")
        except (ApiError, ReplyError, TimeoutError):
            _log.info("lease.left_to_expire")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pause_s = self._seconds / RENEWALS
        while True:
            asked_s = loop.time()
            wait_s = pause_s
            try:
                async with asyncio.timeout(pause_s):
                    is_ours, left_ms = await self._link.call(
                        *(b"EVAL", HOLD_LEASE.text, 1, self._key, self._owner, round(self._seconds * 1000)),
                        what="lease",
                    )
            except (ApiError, ReplyError, TimeoutError) as error:
                # Not answered: the lease we may have goes on until its time is up.
                if self.reason in (None, NOT_ASKED):
                    _log.warning("lease.not_asked", extra={"reason": _reason(error)})
                self.reason = _reason(error)
                self._on_unanswered(self.reason)
            else:
                self.reason = None
                if is_ours:
                    self._hold(asked_s + self._seconds * (1 - MARGIN))
                else:
                    self._let_go("another leads")
                    wait_s = min(pause_s, left_ms / 1000 + NUDGE_S)
            await asyncio.sleep(max(0.0, asked_s + wait_s - loop.time()))

    def _hold(self, until_s: float) -> None:
        self._until_s = until_s
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(until_s, self._let_go, "not renewed in time")
        if not self._was_leader:
            self._was_leader = True
            _log.info("lease.taken")
            self._on_taken()

    def _let_go(self, reason: str) -> None:
        self._until_s = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._was_leader:
            self._was_leader = False
            _log.info("lease.lost", extra={"reason": reason})
            self._on_lost()


def _reason(error: Exception) -> str:
    if isinstance(error, ApiError):
        return error.detail
    return f"Redis answered {error.summary}" if isinstance(error, ReplyError) else "Redis does not answer"
