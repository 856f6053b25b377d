"""Servers of the API tests, on both kinds of event loop, and whole sidecars on a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.api.served import LOOPS, Serve, Served, mirror
from tests.servers.process import RedisServer
from tests.support.http import session
from tests.support.sidecar import RunningSidecar, StartSidecar, settings_of


@pytest.fixture(params=LOOPS)
def serve(request: pytest.FixtureRequest, short_tmp: Path) -> Serve:
    """A factory of servers on a socket that every user may reach, once on uvloop and once on asyncio's own loop."""
    short_tmp.chmod(0o755)

    def make(app: Any = mirror, **options: Any) -> Served:
        return Served(app, short_tmp / "s", loop=request.param, **options)

    return make


@pytest.fixture
def start_sidecar(valkey: RedisServer, short_tmp: Path) -> Iterator[StartSidecar]:
    """A factory of running sidecars, which end with the test."""
    with ExitStack() as at_exit:
        made = 0

        def start(
            *, url: str = valkey.url, loop: str = "uvloop", is_redis_up: bool = True, **changes: Any
        ) -> RunningSidecar:
            nonlocal made
            made += 1
            path = short_tmp / f"rlb-{made}"
            settings = settings_of(path, url, **changes)
            return at_exit.enter_context(RunningSidecar(settings, loop=loop, is_redis_up=is_redis_up))

        yield start


@pytest.fixture
def sidecar(start_sidecar: StartSidecar) -> RunningSidecar:
    """One running sidecar."""
    return start_sidecar()


@pytest.fixture
async def http(sidecar: RunningSidecar) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the one sidecar."""
    async with session(sidecar.path) as client:
        yield client
