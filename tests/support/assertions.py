"""Assertions that wait, and that tell the difference of long lists."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable, Sequence

PATIENCE_S = 15.0


async def eventually(
    condition: Callable[[], Awaitable[object] | object],
    timeout_s: float = PATIENCE_S,
    told: Callable[[], str] = lambda: "never came true",
) -> None:
    """Wait until the condition holds; `told` says what there was instead."""
    until_s = time.monotonic() + timeout_s
    while True:
        holds = condition()
        if inspect.isawaitable(holds):
            holds = await holds
        if holds:
            return
        assert time.monotonic() < until_s, told()
        await asyncio.sleep(0.01)


def assert_same(found: Sequence[object], expected: Sequence[object]) -> None:
    """Like `found == expected`, told by the first difference: pytest's own comparison of long lists takes minutes."""
    for at, (one, other) in enumerate(zip(found, expected, strict=False)):
        assert one == other, f"{one!r} instead of {other!r} at {at} of {len(expected)}"
    assert len(found) == len(expected), f"{len(found)} instead of {len(expected)}"
