"""Sidecars and bridges for the client's tests, on the shared Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from rlb import Bridge
from rlb.service import Service
from tests.client.sidecars import SidecarProcess, settings
from tests.servers.process import RedisServer
from tests.servers.proxy import FaultProxy


class RunSidecar(Protocol):
    async def __call__(self, **variables: str) -> Path: ...


@pytest.fixture
async def run_sidecar(valkey: RedisServer, short_tmp: Path) -> AsyncIterator[RunSidecar]:
    """A factory of sidecars in this process, with RLB_* variables; gives the path of the socket."""
    async with AsyncExitStack() as at_exit:
        made = 0

        async def run(**variables: str) -> Path:
            nonlocal made
            made += 1
            path = short_tmp / f"rlb-{made}.sock"
            variables.setdefault("RLB_DRAIN_S", "1")
            await at_exit.enter_async_context(Service(settings(path, valkey, **variables)))
            return path

        yield run


REDELIVERING = pytest.mark.parametrize(
    "rules",
    [{"RLB_GROUPS__CLAIM_IDLE_MS": "300", "RLB_GROUPS__MAX_DELIVERIES": "1000"}],
    ids=["redelivering"],
)
"""For a test in which deliveries come again by themselves, and as often as it likes."""


@pytest.fixture
def rules() -> dict[str, str]:
    """RLB_* variables of `sidecar`: it gives up early; what is not given back is not delivered again during a test."""
    return {"RLB_GROUPS__MAX_DELIVERIES": "3"}


@pytest.fixture
async def sidecar(run_sidecar: RunSidecar, rules: dict[str, str]) -> Path:
    """The socket of a sidecar with these rules."""
    return await run_sidecar(**rules)


@pytest.fixture
async def bridge(sidecar: Path) -> AsyncIterator[Bridge]:
    """An open bridge to `sidecar`."""
    async with Bridge(sidecar) as opened:
        yield opened


@pytest.fixture
async def patient_bridge(run_sidecar: RunSidecar) -> Bridge:
    """A bridge to a sidecar that does not redeliver during a test; open it."""
    return Bridge(await run_sidecar())


@pytest.fixture
async def proxy(sidecar: Path, short_tmp: Path) -> AsyncIterator[FaultProxy]:
    """A proxy in front of `sidecar`, to break connections with."""
    async with FaultProxy(sidecar, short_tmp / "proxy.sock") as opened:
        yield opened


@pytest.fixture
async def shaky(proxy: FaultProxy) -> AsyncIterator[Bridge]:
    """An open bridge to `sidecar` by way of `proxy`."""
    async with Bridge(proxy.listen_path) as opened:
        yield opened


class OwnSidecar(Protocol):
    def __call__(self, **variables: str) -> SidecarProcess: ...


@pytest.fixture
def own_sidecar(valkey: RedisServer, short_tmp: Path) -> Iterator[OwnSidecar]:
    """A factory of started sidecars that are processes of their own, to be killed and restarted at will."""
    with ExitStack() as at_exit:
        made = 0

        def start(**variables: str) -> SidecarProcess:
            nonlocal made
            made += 1
            process = SidecarProcess(short_tmp / f"own-{made}.sock", valkey, **variables)
            at_exit.callback(process.kill)
            return process.start()

        yield start
