"""Sidecars and cores for the tests of telemetry: scraped, counted, traced."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from rlb.telemetry import tracing_session
from tests.servers.process import RedisServer
from tests.support.otlp import Collector
from tests.support.process import SidecarProcess
from tests.support.sidecar import RunningSidecar, settings_of
from tests.support.started import free_port
from tests.support.traced import TraceCore, tracing_cores
from tests.telemetry.counted import CountedCore, StartCounted
from tests.telemetry.traced_sidecar import StartTraced


class ScrapedSidecar(SidecarProcess):
    """A sidecar whose metrics are at `port`."""

    def __init__(self, path: Path, redis_url: str, port: int, **variables: str) -> None:
        super().__init__(path, redis_url, RLB_METRICS__PORT=str(port), **variables)
        self.port = port


class StartScraped(Protocol):
    """Starts a sidecar on the test's Valkey unless `url` names another; settings as variables.

    `program` is what Python runs in place of rlb's own.
    """

    def __call__(self, url: str = ..., program: tuple[str, ...] = ..., **variables: str) -> ScrapedSidecar: ...


@pytest.fixture
def start_scraped(valkey: RedisServer, short_tmp: Path) -> Iterator[StartScraped]:
    """A factory of sidecars that listen, and end with the test."""
    with ExitStack() as at_exit:
        made = 0

        def start(
            url: str = valkey.url, program: tuple[str, ...] = SidecarProcess.program, **variables: str
        ) -> ScrapedSidecar:
            nonlocal made
            made += 1
            sidecar = ScrapedSidecar(short_tmp / f"rlb-{made}", url, free_port(), **variables)
            sidecar.program = program
            at_exit.enter_context(sidecar)
            sidecar.listening()
            return sidecar

        yield start


@pytest.fixture
async def start(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StartCounted]:
    """A factory of connected cores that are counted; their sweeps come often."""
    monkeypatch.setattr("rlb.telemetry.instruments.SWEEP_S", 0.02)
    cores: list[CountedCore] = []

    async def make(url: str, **changes: dict[str, float]) -> CountedCore:
        cores.append(CountedCore(url, **changes))
        await cores[-1].core.ready()
        return cores[-1]

    yield make
    for core in cores:
        await core.close()


@pytest.fixture
async def counted(start: StartCounted, valkey: RedisServer) -> CountedCore:
    return await start(valkey.url)


@pytest.fixture
async def trace(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TraceCore]:
    async with tracing_cores(monkeypatch) as start:
        yield start


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Tracing is on, and what has no caller is not sampled."""
    with Collector() as collector:
        for name, value in collector.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
        monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
        monkeypatch.setattr(tracing_session, "CLOSE_S", 30.0)
        yield collector


@pytest.fixture
def start_traced(valkey: RedisServer, short_tmp: Path) -> Iterator[StartTraced]:
    with ExitStack() as at_exit:

        def make(**changes: Any) -> RunningSidecar:
            settings = settings_of(short_tmp / "rlb", valkey.url, **changes)
            return at_exit.enter_context(RunningSidecar(settings))

        yield make
