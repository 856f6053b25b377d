"""When the app under test has nothing left to do, by its loop and not by the clock.

Textual's own tests take a process for idle that has used no CPU for 20 ms. One that was not given any has used none
either, and after a second they go on in any case: on a machine that stands still for a moment, keys come before the
screens that they are meant for, and assertions before what they are about.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from textual._context import active_app
from textual.screen import UPDATE_PERIOD

TURNS = 100_000
"""Turns of the loop until a test gives up: some seconds."""


async def wait_for_idle(min_sleep: float = 0.0, max_sleep: float = 0.0) -> None:
    """Return when nothing is ready to run, and nothing to be painted. The arguments, Textual's, do not matter."""
    loop = cast("Any", asyncio.get_running_loop())
    for _ in range(TURNS):
        await asyncio.sleep(0)
        # All that was ready before this turn has been run; what that made ready stands in the queue.
        if loop._ready:
            continue
        if not any(screen._update_timer._active.is_set() for screen in active_app.get().screen_stack):
            return
        await asyncio.sleep(UPDATE_PERIOD / 4)
    raise AssertionError("the app does not come to rest")
