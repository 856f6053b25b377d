"""Liveness, readiness and health, on the socket and on the TCP port."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal

from rlb.api.models import ComponentHealth, HealthReport, Live
from rlb.api.request import Request
from rlb.api.routes import as_json

LOOK_S = 1.0
"""How often the components are looked at without being asked for."""

State = Literal["up", "down", "starting", "stopping"]


@dataclass(frozen=True, slots=True)
class Condition:
    """How a component is now; the reason holds no secret and no address with credentials."""

    state: State
    reason: str | None = None


@dataclass(slots=True)
class _Watched:
    look: Callable[[], Condition]
    last: State
    since: float


class Health:
    """The components, and the two questions that Kubernetes asks."""

    def __init__(self) -> None:
        self.is_draining = False
        self._watched: dict[str, _Watched] = {}

    def watch(self, name: str, look: Callable[[], Condition]) -> None:
        """Report a component by looking at it when asked."""
        self._watched[name] = _Watched(look, look().state, time.time())

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """For the length of the block, look once a second, so that it is known since when a component is as it is."""
        task = asyncio.create_task(self._keep_looking(), name="health")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep_looking(self) -> None:
        while True:
            self.report()
            await asyncio.sleep(LOOK_S)

    def report(self) -> HealthReport:
        """Every component with its state."""
        components = []
        for name, watched in self._watched.items():
            condition = watched.look()
            if condition.state != watched.last:
                watched.last, watched.since = condition.state, time.time()
            components.append(
                ComponentHealth(name=name, state=condition.state, since=watched.since, reason=condition.reason)
            )
        all_up = all(component.state == "up" for component in components)
        status: Literal["ok", "degraded", "draining"] = "ok" if all_up else "degraded"
        return HealthReport(status="draining" if self.is_draining else status, components=components)

    async def livez(self, request: Request) -> None:
        """`GET /livez`: the loop turns. Never asks Redis, so that an outage there restarts nothing here."""
        await request.respond(200, as_json(Live(status="ok")))

    async def readyz(self, request: Request) -> None:
        """`GET /readyz`: the socket is up and not draining; with `?redis=1`, Redis is reachable too."""
        status = "ok"
        if request.query("redis") == "1" and self._watched["redis"].look().state != "up":
            status = "redis is down"
        # Asked at the TCP port, which answers even when nobody finds the socket. An observer has none.
        if "socket" in self._watched and self._watched["socket"].look().state != "up":
            status = "the socket is gone"
        if self.is_draining:
            status = "draining"
        await request.respond(200 if status == "ok" else 503, as_json(Live(status=status)))

    async def healthz(self, request: Request) -> None:
        """`GET /healthz`: every component with state, since and reason."""
        report = self.report()
        await request.respond(200 if report.status == "ok" else 503, as_json(report))
