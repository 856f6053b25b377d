"""How late the event loop runs its timers: a stall holds up every token, whatever caused it."""

from __future__ import annotations

import asyncio
import time

from rlb.telemetry.registry import Histogram

PERIOD_S = 0.25
"""Between two looks; a stall is seen if it is due in one, so shares of time are told rightly, short ones by chance."""


async def watch_loop(lag: Histogram, period_s: float = PERIOD_S) -> None:
    """Sleep, and observe how much longer that took than asked, for ever."""
    # Not the loop's own clock, which uvloop keeps in whole milliseconds.
    while True:
        due_s = time.monotonic() + period_s
        await asyncio.sleep(period_s)
        lag.observe(max(0.0, time.monotonic() - due_s))
