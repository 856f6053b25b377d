"""The telemetry of one sidecar, put together: what counts, what is asked at collection, and where it is shown."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rlb.settings import Settings
from rlb.telemetry.exposition import Exposition
from rlb.telemetry.labels import LabelCaps
from rlb.telemetry.loop_lag import watch_loop
from rlb.telemetry.otlp import OtlpMetrics, start_otlp_metrics
from rlb.telemetry.purse import possible_metrics
from rlb.telemetry.registry import Registry
from rlb.telemetry.resource import resource_attributes


class Telemetry:
    """Made before the parts that count in `registry`; entered, it watches the loop and exports over OTLP if asked to.

    Leave it when those parts have stopped, so that the last export has all that they counted. `place` tells processes
    on one host apart that have no socket, and so serve no apps.
    """

    def __init__(
        self, settings: Settings, environ: Mapping[str, str] = os.environ, *, place: str | None = None
    ) -> None:
        self.registry = Registry(
            {
                "messaging.destination.template": f"{settings.stream.prefix}:{{session}}:{{model}}",
                "gen_ai.provider.name": settings.generation.provider,
            }
        )
        possible = possible_metrics(settings.monitor, serves_apps=place is None)
        self.caps = LabelCaps(settings.limits, self.registry, possible)
        self.resource = resource_attributes(environ, place or str(settings.socket.path))
        self.exposition = Exposition(self.registry, self.resource)
        self._environ = environ
        self._loop_watch: asyncio.Task[None] | None = None
        self._otlp: OtlpMetrics | None = None

    async def __aenter__(self) -> Self:
        lag = self.registry.histogram("rlb.eventloop.lag")
        self._loop_watch = asyncio.create_task(watch_loop(lag), name="event loop lag")
        self._otlp = start_otlp_metrics(self.registry, self.resource, self._environ)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop_watch is not None:
            self._loop_watch.cancel()
            await asyncio.gather(self._loop_watch, return_exceptions=True)
        if self._otlp is not None:
            await self._otlp.close()
