"""Links on both kinds of event loop: redis-py's socket has to be taken over on either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tests.conftest import MakeFaultProxy
from tests.redis_io.links import MakeLink, making_links
from tests.servers.process import RedisServer
from tests.servers.proxy import FaultProxy
from tests.support.loops import limited_uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": limited_uvloop, "asyncio": asyncio.new_event_loop}


@pytest.fixture
async def make_link() -> AsyncIterator[MakeLink]:
    """A factory of started links, closed with the test."""
    async with making_links() as make:
        yield make


@pytest.fixture
async def proxy(valkey: RedisServer, fault_proxy: MakeFaultProxy) -> FaultProxy:
    """A proxy in front of the shared Valkey, to break its connections with."""
    return await fault_proxy(valkey)
