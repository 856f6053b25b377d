"""Cores behind fault proxies, on the loop that the sidecar runs on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tests.support.cores import StartCore, starting_cores
from tests.support.loops import limited_uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": limited_uvloop}


@pytest.fixture
async def start_core() -> AsyncIterator[StartCore]:
    """A factory of running cores, which end with the test."""
    async with starting_cores() as start:
        yield start
