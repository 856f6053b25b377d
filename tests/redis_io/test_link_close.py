"""The end of a link while it is being opened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from rlb.redis_io.backoff import Backoff
from rlb.redis_io.connect import ConnectError, Opened
from rlb.redis_io.link import Link, LinkBounds

HOUR_S = 3600.0


@pytest.mark.parametrize("retry_after_s", [None, HOUR_S])
async def test_a_close_is_not_put_off_by_a_connect_that_does_not_notice_it(retry_after_s: float | None) -> None:
    """redis-py may swallow a cancellation, and fail for a reason after which the link would wait."""
    is_opening = asyncio.Event()

    async def open_deafly(attach: Callable[[asyncio.Transport], asyncio.Protocol]) -> Opened:
        is_opening.set()
        try:
            await asyncio.sleep(HOUR_S)
        except asyncio.CancelledError:
            raise ConnectError("authentication refused", retry_after_s) from None
        raise AssertionError

    link = Link("main", open_deafly, LinkBounds(5.0, 1024, 5.0), Backoff(HOUR_S, HOUR_S))
    link.start()
    await is_opening.wait()
    async with asyncio.timeout(10):
        await link.close()
    assert not link.is_up
