"""The way of a command to the sidecar: the client library, imported only by the commands that need it."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rlb.cli.output import note

if TYPE_CHECKING:
    from rlb.client import Bridge

ResultT = TypeVar("ResultT")

CALL_PATIENCE_S = 3.0
"""How long a single call waits for a sidecar that restarts; a person can repeat it."""

STREAM_PATIENCE_S = 30.0
"""How long a stream that runs waits for it."""

ABSENCE_S = 10.0
"""Failed attempts that are less apart than this are one absence, which is told once."""

_INTERRUPTED = {"tail.interrupted", "tokens.interrupted", "subscription.interrupted"}


class _Notices(logging.Handler):
    """Tells a person of what the client bridges by itself; its other events are for programs.

    One attempt that fails is not worth a word: it may be the last, and is told as a failure then.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._seen_s = self._told_s = -math.inf

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() not in _INTERRUPTED:
            return
        if record.created - self._seen_s < ABSENCE_S and record.created - self._told_s > ABSENCE_S:
            self._told_s = record.created
            note(f"interrupted, going on as soon as possible ({getattr(record, 'reason', 'no reason given')})")
        self._seen_s = record.created


def with_bridge(
    socket: Path | None, work: Callable[[Bridge], Awaitable[ResultT]], *, patience_s: float = CALL_PATIENCE_S
) -> ResultT:
    """The result of `work` on an open bridge.

    Raises:
        RlbError: what the client raises.
    """
    import asyncio

    from rlb.client import Bridge

    log = logging.getLogger("rlb")
    log.setLevel(logging.INFO)
    log.handlers[:] = [_Notices()]
    log.propagate = False

    async def run() -> ResultT:
        async with Bridge(socket, patience_s=patience_s) as bridge:
            return await work(bridge)

    return asyncio.run(run())
