"""Waiting for a sidecar has an end, and does not begin where there is nothing to wait for."""

from __future__ import annotations

import asyncio

import pytest

from rlb.client.patience import Backoff, Patience
from rlb.errors import SidecarUnreachableError

ERROR = SidecarUnreachableError("gone")
SHORT = Backoff(first_s=0.01, longest_s=0.02)


async def test_patience_ends_after_its_limit() -> None:
    """The pauses together last as long as the limit, then the error is raised."""
    patience = Patience(0.2, lambda _: True, SHORT)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    pauses = 0

    async def seek() -> None:
        nonlocal pauses
        while True:
            await patience.pause(ERROR)
            pauses += 1

    with pytest.raises(SidecarUnreachableError, match="gone"):
        await seek()
    assert 0.19 < loop.time() - began_s < 1.0
    assert pauses >= 10


async def test_contact_renews_patience() -> None:
    """The limit counts from the first failure behind the latest contact."""
    patience = Patience(0.05, lambda _: True, SHORT)
    for _ in range(20):
        await patience.pause(ERROR)
        patience.contact()


async def test_no_patience_with_a_sidecar_that_never_was_there() -> None:
    """Before the first contact the error is raised at once."""
    with pytest.raises(SidecarUnreachableError):
        await Patience(60, lambda _: False).pause(ERROR)


@pytest.mark.parametrize(
    ("attempt", "least", "most"), [(0, 0.05, 0.1), (1, 0.1, 0.2), (9, 0.5, 1.0), (10**6, 0.5, 1.0)]
)
def test_pauses_grow_up_to_the_longest(attempt: int, least: float, most: float) -> None:
    """Each pause is between half of its length and all of it."""
    assert all(least <= Backoff(0.1, 1.0).delay_s(attempt) <= most for _ in range(100))
