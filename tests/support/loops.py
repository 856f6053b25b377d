"""Event loops for tests: the one that the sidecar runs on, with a limit that it keeps."""

from __future__ import annotations

import asyncio

import uvloop

LIMIT_S = 50.0
"""Below the limit per test of pytest-timeout, whose signal uvloop takes notice of only when it wakes up by itself."""


def _give_up(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel(f"the test took more than {LIMIT_S:g} s")


def limited_uvloop() -> asyncio.AbstractEventLoop:
    """A uvloop that cancels everything when a test hangs; the traceback shows where."""
    loop = uvloop.new_event_loop()
    loop.call_later(LIMIT_S, _give_up, loop)
    return loop
