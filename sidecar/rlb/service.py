"""The composition root: builds every part from the settings, starts them in order, stops them in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Self

from rlb.api.app import probe_app, socket_app
from rlb.api.connection_gate import ConnectionLimits
from rlb.api.health import Condition, Health
from rlb.api.routes import BodyBounds
from rlb.api.server import HttpServer
from rlb.api.unix_socket import BoundSocket
from rlb.bridge.append import Appender
from rlb.bridge.build import build_core
from rlb.bridge.core import Core
from rlb.domain.keys import Keys
from rlb.errors import SettingsError
from rlb.monitor.build import build_monitor
from rlb.monitor.duty import Duty
from rlb.monitor.monitor import Monitor
from rlb.monitor.snapshots import Snapshots
from rlb.process import duty_condition, probe_listener, redis_condition, run_until_signal
from rlb.redis_io.embedded import EmbeddedServer
from rlb.redis_io.topology import Standalone
from rlb.settings import Settings
from rlb.telemetry.duty_counts import DutyCounts
from rlb.telemetry.instruments import Instruments
from rlb.telemetry.poll_counts import PollCounts
from rlb.telemetry.polled import polled
from rlb.telemetry.self_metrics import Parts, PollState, QueueState, self_metrics
from rlb.telemetry.telemetry import Telemetry
from rlb.telemetry.tracing import Tracing, open_tracing

_log = logging.getLogger("rlb")

CREDENTIALS = ("username", "password", "password_file")

NO_REDIS = "RLB_REDIS__URL is not set: expected the URL of a Redis, or start with --embedded for one of its own"


def build_duty(settings: Settings, topology: Standalone, monitor: Monitor, telemetry: Telemetry) -> Duty:
    """What has the monitor poll, not yet started; what the polls find is shown in the telemetry."""
    owner = telemetry.resource["service.instance.id"]
    counts = DutyCounts(telemetry.registry, telemetry.caps)
    duty = Duty(topology, Keys(settings.stream.prefix), settings.monitor, monitor, owner, counts)
    telemetry.registry.observe_with(polled(lambda: duty.census, lambda: duty.totals, telemetry.caps))
    return duty


def poll_state(monitor: Monitor, duty: Duty) -> PollState:
    """What the metrics say of the polls."""
    return PollState(monitor.last_success_s, monitor.clock_skew_s, duty.leads, duty.observed, duty.lease)


class Service:
    """A running sidecar, as an async context manager: entered it listens, left it has drained.

    Raises:
        SettingsError: no Redis is configured.
        StartError: the socket, the port or the embedded server cannot be had.
    """

    def __init__(self, settings: Settings, *, embedded: bool = False) -> None:
        self.settings = settings
        self.health = Health()
        self.draining = asyncio.Event()
        self._embedded = embedded
        self._parts = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as parts:
            await self._start(parts)
            self._parts = parts.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._say_draining()
        await self._parts.aclose()
        _log.info("service.stopped")

    async def _start(self, parts: contextlib.AsyncExitStack) -> None:
        began_ns = time.time_ns()
        settings = self.settings
        redis = settings.redis
        if self._embedded:
            server = EmbeddedServer()
            parts.push_async_callback(server.stop)
            await server.start()
            # Credentials are for the Redis that they were set for.
            redis = redis.model_copy(update={"url": server.url, **dict.fromkeys(CREDENTIALS)})
        if redis.url is None:
            raise SettingsError(NO_REDIS)
        telemetry = await parts.enter_async_context(Telemetry(settings))
        tracing = open_tracing(settings, telemetry.registry, telemetry.resource, redis.url)
        if tracing is not None:
            tracing.start()
            parts.push_async_callback(tracing.close)
        topology = Standalone(redis, settings.append.deadline_ms / 1000)

        def own() -> Iterable[str]:
            return core.keys_in_use()

        monitor = build_monitor(settings, topology, own, PollCounts(telemetry.registry, telemetry.caps))
        duty = build_duty(settings, topology, monitor, telemetry)
        instruments = Instruments(
            telemetry.registry, telemetry.caps, settings.generation, lambda: monitor.clock_skew_s or 0.0
        )
        core = build_core(settings, topology, monitor, instruments, tracing)
        self.health.watch("redis", lambda: redis_condition(topology))
        self.health.watch("writes", lambda: _writes_condition(core.appender))
        await parts.enter_async_context(self.health.looking())
        topology.start()
        core.appender.start()
        instruments.start()
        duty.start()
        if settings.monitor.scope != "off":
            self.health.watch("monitor", lambda: duty_condition(duty))
        for closing in (
            *(topology.close, duty.close, instruments.close),
            *(core.reader.close, core.index.close, core.appender.close),
        ):
            parts.push_async_callback(closing)
        snapshots = Snapshots(
            monitor,
            topology.main,
            telemetry.resource["service.instance.id"],
            settings.monitor.scope,
            lambda: duty.leads,
            instruments.generations,
        )
        await parts.enter_async_context(self._serving(core, monitor, duty, telemetry, tracing, snapshots))
        if tracing is not None:
            tracing.lifecycle("startup", began_ns)
        _log.info("service.started", extra={"socket": str(settings.socket.path), "embedded": self._embedded})

    @contextlib.asynccontextmanager
    async def _serving(
        self,
        core: Core,
        monitor: Monitor,
        duty: Duty,
        telemetry: Telemetry,
        tracing: Tracing | None,
        snapshots: Snapshots,
    ) -> AsyncIterator[None]:
        """Listen; on leaving, drain within `drain_s`: take nothing new, write what was taken, end the streams."""
        settings = self.settings.socket
        limits = ConnectionLimits.from_settings(settings)
        bounds = BodyBounds(
            settings.max_message_bytes, settings.max_body_bytes, settings.body_timeout_s, self.settings.tail.stall_s
        )
        with (
            BoundSocket(settings.path, mode=settings.mode, shared_folder=settings.folder == "shared") as bound,
            probe_listener(self.settings) as probe_socket,
        ):
            render = telemetry.exposition.render
            app = socket_app(core, self.health, bounds, self.draining, render, snapshots)
            server = HttpServer(app, bound.socket, limits, core.observer.refused)
            telemetry.registry.observe_with(self_metrics(self.settings, _observed_parts(core, monitor, duty, server)))
            await server.start()
            self.health.watch("socket", lambda: _socket_condition(bound))
            probes = None
            if probe_socket is not None:
                probes = HttpServer(probe_app(self.health, render), probe_socket, limits)
                await probes.start()
            try:
                yield
            finally:
                loop = asyncio.get_running_loop()
                drained_ns = time.time_ns()
                until_s = loop.time() + self.settings.drain_s
                self._say_draining()
                server.stop_accepting()
                unwritten = await core.appender.drain(self.settings.drain_s / 2)
                cut_off = await server.stop(max(0.1, until_s - loop.time()))
                if probes is not None:
                    await probes.stop(0.1)
                log = _log.warning if unwritten or cut_off else _log.info
                log("service.drained", extra={"unwritten_messages": unwritten, "cut_off_requests": cut_off})
                if tracing is not None:
                    tracing.lifecycle("drain", drained_ns, unwritten_messages=unwritten, cut_off_requests=cut_off)

    def _say_draining(self) -> None:
        self.health.is_draining = True
        self.draining.set()


def _observed_parts(core: Core, monitor: Monitor, duty: Duty, server: HttpServer) -> Parts:
    """What the metrics about the sidecar itself are taken from."""
    appender, topology = core.appender, core.topology
    return Parts(
        queue=lambda: QueueState(appender.waiting, appender.buffered_bytes),
        roles=server.roles,
        links=lambda: topology.links,
        poll=lambda: poll_state(monitor, duty),
    )


def _writes_condition(appender: Appender) -> Condition:
    trouble = appender.health.trouble
    return Condition("up") if trouble is None else Condition("down", trouble)


def _socket_condition(bound: BoundSocket) -> Condition:
    return Condition("up") if bound.is_in_place() else Condition("down", "the socket's file was removed")


async def serve(settings: Settings, *, embedded: bool = False) -> None:
    """Run a sidecar until SIGTERM or SIGINT; a second signal ends it at once."""
    await run_until_signal(Service(settings, embedded=embedded))
