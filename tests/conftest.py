"""Fixtures for every test: real servers, short folders for sockets, and a proxy that breaks connections.

Servers are started once per test process and emptied before each test that uses them. A test that kills, pauses or
configures a server asks for one of its own (`own_server`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from redis.asyncio import Redis

from tests.servers.kinds import KINDS, VALKEY_9, ServerKind, UnavailableError
from tests.servers.process import SHORT_TEMPORARY_FOLDER, RedisServer
from tests.servers.proxy import FaultProxy
from tests.support.fuzz import load_usual_settings

load_usual_settings()


class SharedServers:
    """The servers of one test process: each started at the first use, all killed in the end."""

    def __init__(self) -> None:
        self._running: dict[str, RedisServer] = {}

    def emptied(self, kind: ServerKind) -> RedisServer:
        """The server of this kind, without any data; skips the test where there is none."""
        if kind.name not in self._running:
            self._running[kind.name] = _new_server(kind).start()
        server = self._running[kind.name]
        server.reset()
        return server

    def close(self) -> None:
        for server in self._running.values():
            server.close()


def _new_server(kind: ServerKind, *, config: tuple[str, ...] = (), tcp: bool = False) -> RedisServer:
    try:
        return RedisServer(kind, config=config, tcp=tcp)
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[SharedServers]:
    servers = SharedServers()
    yield servers
    servers.close()


@pytest.fixture(scope="session", params=KINDS, ids=[kind.name for kind in KINDS])
def redis_kind(request: pytest.FixtureRequest) -> ServerKind:
    """Each kind of server in turn; what asks for this runs once per kind."""
    kind: ServerKind = request.param
    return kind


@pytest.fixture
def server(redis_kind: ServerKind, shared_servers: SharedServers) -> RedisServer:
    """The shared server of each kind in turn, emptied: for contract tests, which run once per kind."""
    return shared_servers.emptied(redis_kind)


@pytest.fixture
def valkey(shared_servers: SharedServers) -> RedisServer:
    """The shared Valkey 9.1.2, emptied: for tests where one server is enough."""
    return shared_servers.emptied(VALKEY_9)


class OwnServer(Protocol):
    def __call__(
        self, kind: ServerKind = VALKEY_9, *, config: tuple[str, ...] = (), tcp: bool = False
    ) -> RedisServer: ...


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    """A factory of started servers that belong to this test alone, to be killed, paused and configured at will."""
    with ExitStack() as at_exit:

        def start(kind: ServerKind = VALKEY_9, *, config: tuple[str, ...] = (), tcp: bool = False) -> RedisServer:
            server = _new_server(kind, config=config, tcp=tcp)
            at_exit.callback(server.close)
            return server.start()

        yield start


@pytest.fixture
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    """A plain redis-py client (bytes, no retries) of the test's `server`, or of `valkey` if it has none."""
    of: RedisServer = request.getfixturevalue("server" if "server" in request.fixturenames else "valkey")
    async with of.client() as client:
        yield client


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A folder whose path is short enough for Unix sockets (107 bytes), which `tmp_path` is not."""
    folder = Path(tempfile.mkdtemp(prefix="rlb-", dir=SHORT_TEMPORARY_FOLDER))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class MakeFaultProxy(Protocol):
    async def __call__(self, upstream: RedisServer, *, tcp: bool = False) -> FaultProxy: ...


@pytest.fixture
async def fault_proxy(short_tmp: Path) -> AsyncIterator[MakeFaultProxy]:
    """A factory of open proxies in front of a server, on a Unix socket or, with `tcp`, on a loopback port."""
    async with AsyncExitStack() as at_exit:
        made = 0

        async def open_proxy(upstream: RedisServer, *, tcp: bool = False) -> FaultProxy:
            nonlocal made
            made += 1
            listen_path = None if tcp else short_tmp / f"proxy-{made}"
            return await at_exit.enter_async_context(FaultProxy(upstream.socket_path, listen_path))

        yield open_proxy
