"""Cores to be watched, on the loop that the sidecar runs on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tests.servers.process import RedisServer
from tests.support.cores import RunningCore, StartCore, starting_cores
from tests.support.loops import limited_uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": limited_uvloop}


@pytest.fixture
async def start_core() -> AsyncIterator[StartCore]:
    """A factory of running cores, which end with the test."""
    async with starting_cores() as start:
        yield start


@pytest.fixture
async def core(valkey: RedisServer, start_core: StartCore) -> RunningCore:
    """One connected core on the shared Valkey."""
    return await start_core(valkey.url).ready()
