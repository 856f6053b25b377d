"""A core that is traced, with a collector that its spans go to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import pytest

from rlb.telemetry import tracing_session
from rlb.telemetry.registry import Registry
from rlb.telemetry.tracing import Tracing, open_tracing
from tests.support.cores import RunningCore, settings_of
from tests.support.otlp import Collector, Span

APP = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
"""An app's span, sampled."""
UNSAMPLED = APP[:-1] + "0"


class TracedCore:
    """A running core and its tracing; `spans` ends the tracing, so ask for them once, at the end."""

    def __init__(self, core: RunningCore, tracing: Tracing, collector: Collector, registry: Registry) -> None:
        self.core = core
        self.tracing = tracing
        self.collector = collector
        self.registry = registry
        self._is_closed = False

    async def spans(self) -> list[Span]:
        """All spans, after all of them have ended and been sent."""
        await self.close()
        return self.collector.spans

    async def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            await self.core.close()
            await self.tracing.close()


class TraceCore(Protocol):
    """Starts a traced core on the Redis at `url`; `sampler` and `ratio` as in `OTEL_TRACES_SAMPLER(_ARG)`."""

    async def __call__(
        self, url: str, *, sampler: str = ..., ratio: float = ..., **changes: dict[str, Any]
    ) -> TracedCore: ...


@asynccontextmanager
async def tracing_cores(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TraceCore]:
    """A factory of traced cores with one collector."""
    cores: list[TracedCore] = []
    monkeypatch.setattr(tracing_session, "CLOSE_S", 30.0)
    with Collector() as collector:
        for name, value in collector.environment.items():
            monkeypatch.setenv(name, value)

        async def start(
            url: str, *, sampler: str = "parentbased_always_on", ratio: float = 1.0, **changes: dict[str, Any]
        ) -> TracedCore:
            settings = settings_of(url, **changes)
            registry = Registry()
            environ = {**collector.environment, "OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": str(ratio)}
            tracing = open_tracing(settings, registry, {"service.name": "rlb-test"}, url, environ)
            assert tracing is not None
            tracing.start()
            core = TracedCore(RunningCore(settings, tracer=tracing), tracing, collector, registry)
            cores.append(core)
            await core.core.ready()
            return core

        yield start
        await asyncio.gather(*(core.close() for core in cores))


def one(spans: list[Span], beginning: str) -> Span:
    """The one span whose name begins so."""
    found = [span for span in spans if span.name.startswith(beginning)]
    assert len(found) == 1, [span.name for span in spans]
    return found[0]


def named(spans: list[Span], beginning: str) -> list[Span]:
    """The spans whose name begins so."""
    return [span for span in spans if span.name.startswith(beginning)]
