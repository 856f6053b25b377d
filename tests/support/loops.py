"""Event loops for tests: the one that the sidecar runs on, with a limit that it keeps."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

import uvloop

LIMIT_S = 50.0
"""Below the limit per test of pytest-timeout, whose signal uvloop takes notice of only when it wakes up by itself."""

_timers: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.TimerHandle] = WeakKeyDictionary()


def _give_up(loop: asyncio.AbstractEventLoop, limit_s: float) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel(f"the test took more than {limit_s:g} s")


def _limit(loop: asyncio.AbstractEventLoop, limit_s: float) -> None:
    _timers[loop] = loop.call_later(limit_s, _give_up, loop, limit_s)


def allow(limit_s: float) -> None:
    """Let this test take so long from now on, below its own limit (`pytest.mark.timeout`)."""
    loop = asyncio.get_running_loop()
    _timers[loop].cancel()
    _limit(loop, limit_s)


def limited_uvloop() -> asyncio.AbstractEventLoop:
    """A uvloop that cancels everything when a test hangs; the traceback shows where."""
    loop = uvloop.new_event_loop()
    _limit(loop, LIMIT_S)
    return loop
