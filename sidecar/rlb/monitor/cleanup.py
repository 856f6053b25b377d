"""Clean-up: consumers that have gone and left nothing are removed, if the settings ask for it.

A consumer's name stays in its group for ever, and pods that come and go leave many. Removing one throws away what it
has pending, so Redis checks that there is nothing, and that it has not called since the poll, in one step with the
removal. A consumer that is removed and comes back is made anew by its next read: it has lost nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

from rlb.errors import ApiError
from rlb.monitor.monitor import Monitor
from rlb.monitor.state import GroupState
from rlb.redis_io.replies import ConnectionLostError, ReplyError
from rlb.redis_io.scripts import REMOVE_CONSUMER
from rlb.redis_io.topology import Topology

_log = logging.getLogger("rlb.monitor")

MOST_A_TURN = 100
"""Removals in one turn; the rest have their turn after the next poll."""

LOOKED_AT_ONCE = 2000
"""Streams that are looked through before the loop turns."""


class Candidate(NamedTuple):
    """A consumer that seemed to have gone when its stream was polled."""

    key: str
    group: GroupState
    consumer: str


class Cleanup:
    """Removes consumers that have not called for `after_s`; `on_removed` is told the group of each."""

    def __init__(
        self, topology: Topology, monitor: Monitor, after_s: float, on_removed: Callable[[str], None] = lambda _: None
    ) -> None:
        self._topology = topology
        self._monitor = monitor
        self._after_ms = round(after_s * 1000)
        self._on_removed = on_removed
        self._task: asyncio.Task[None] | None = None
        self._refused: str | None = None

    def start(self) -> None:
        """Begin to look through what each poll finds."""
        self._task = asyncio.create_task(self._run(), name="clean-up")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._monitor.turn()
            try:
                await self.sweep()
            except ApiError as error:
                _log.info("cleanup.put_off", extra={"reason": error.detail})

    async def sweep(self) -> int:
        """Remove what the last polls found gone, at most `MOST_A_TURN`; how many were removed.

        Raises:
            ApiError: Redis did not answer.
        """
        candidates: list[Candidate] = []
        for number, state in enumerate(list(self._monitor.states)):
            if number % LOOKED_AT_ONCE == LOOKED_AT_ONCE - 1:
                await asyncio.sleep(0)
            for group in state.groups:
                candidates += self._gone(state.key, group)
            if len(candidates) >= MOST_A_TURN:
                break
        removed = 0
        for candidate in candidates[:MOST_A_TURN]:
            removed += await self._remove(candidate)
        return removed

    def _gone(self, key: str, group: GroupState) -> Iterator[Candidate]:
        for consumer in group.consumers:
            if consumer.pending == 0 and consumer.idle_ms >= self._after_ms:
                yield Candidate(key, group, consumer.name)

    async def _remove(self, candidate: Candidate) -> bool:
        key, group, consumer = candidate
        link = self._topology.side_link(key)
        command = (b"EVAL", REMOVE_CONSUMER.text, 1, key, group.name, consumer, self._after_ms)
        reply = (await link.batch_raw([command]))[0]
        if isinstance(reply, ReplyError):
            self._note_refusal(reply)
            return False
        if isinstance(reply, ConnectionLostError):
            return False
        # Removed or at work again: until the next poll of its stream there is nothing more to do about it.
        group.forget_consumer(consumer)
        if reply != 1:
            return False
        _log.info("consumer.removed", extra={"group": group.name, "consumer": consumer})
        self._on_removed(group.name)
        return True

    def _note_refusal(self, error: ReplyError) -> None:
        if self._refused != error.prefix:
            self._refused = error.prefix
            _log.warning("cleanup.refused", extra={"reason": f"Redis answered {error.summary}"})
