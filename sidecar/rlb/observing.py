"""The composition root of an observer: a process that polls all streams and serves no app."""

from __future__ import annotations

import contextlib
import logging
from types import TracebackType
from typing import Self

from rlb.api.app import probe_app
from rlb.api.connection_gate import ConnectionLimits
from rlb.api.health import Health
from rlb.api.server import HttpServer
from rlb.errors import SettingsError
from rlb.monitor.build import build_monitor
from rlb.process import duty_condition, probe_listener, redis_condition, run_until_signal
from rlb.redis_io.topology import Standalone
from rlb.service import build_duty, poll_state
from rlb.settings import Settings
from rlb.telemetry.poll_counts import PollCounts
from rlb.telemetry.self_metrics import Parts, self_metrics
from rlb.telemetry.telemetry import Telemetry

_log = logging.getLogger("rlb")

NO_REDIS = "RLB_REDIS__URL is not set: expected the URL of the Redis to watch"

STOP_S = 0.5
"""How long a scrape that is under way may take when the observer stops."""


class Observer:
    """A running observer, as an async context manager. Of many one polls, those that stand by say so.

    Raises:
        SettingsError: no Redis is configured.
        StartError: the port cannot be had.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.health = Health()
        self._parts = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as parts:
            await self._start(parts)
            self._parts = parts.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.health.is_draining = True
        await self._parts.aclose()
        _log.info("service.stopped")

    async def _start(self, parts: contextlib.AsyncExitStack) -> None:
        settings = self.settings
        if settings.redis.url is None:
            raise SettingsError(NO_REDIS)
        listener = parts.enter_context(probe_listener(settings))
        telemetry = await parts.enter_async_context(Telemetry(settings, place=f"observer:{settings.metrics.port}"))
        topology = Standalone(settings.redis, settings.append.deadline_ms / 1000)
        monitor = build_monitor(settings, topology, observer=PollCounts(telemetry.registry, telemetry.caps))
        duty = build_duty(settings, topology, monitor, telemetry)
        telemetry.registry.observe_with(
            self_metrics(
                settings,
                Parts(
                    queue=None,
                    roles=dict,
                    links=lambda: topology.links,
                    poll=lambda: poll_state(monitor, duty),
                ),
            )
        )
        self.health.watch("redis", lambda: redis_condition(topology))
        await parts.enter_async_context(self.health.looking())
        self.health.watch("monitor", lambda: duty_condition(duty))
        topology.start()
        duty.start()
        parts.push_async_callback(topology.close)
        parts.push_async_callback(duty.close)
        if listener is not None:
            app = probe_app(self.health, telemetry.exposition.render)
            server = HttpServer(app, listener, ConnectionLimits.from_settings(settings.socket))
            await server.start()
            parts.push_async_callback(server.stop, STOP_S)
        _log.info("service.started", extra={"metrics": settings.metrics.port})


async def observe(settings: Settings) -> None:
    """Run an observer until SIGTERM or SIGINT; a second signal ends it at once."""
    await run_until_signal(Observer(settings))
