"""Cores as the composition root builds them, without a socket in front: what contract and fault tests drive."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from rlb.bridge.build import build_core
from rlb.bridge.delivery import Delivery, Reading
from rlb.bridge.observer import Observer
from rlb.bridge.subscribe import SubscriptionRequest
from rlb.bridge.ticket import Ticket
from rlb.bridge.tracer import Tracer
from rlb.domain.stream_key import StreamKey
from rlb.errors import RedisUnavailableError
from rlb.monitor.build import build_monitor
from rlb.redis_io.topology import Standalone
from rlb.settings import Settings
from tests.support.assertions import PATIENCE_S
from tests.support.parties import Connection, Follower, Receiver
from tests.support.tokens import M, S, draft


def settings_of(url: str, **changes: dict[str, Any]) -> Settings:
    """Settings for a core on the Redis at `url`, with what the test changes, section by section."""
    tree: dict[str, dict[str, Any]] = {"redis": {"url": url}}
    for section, values in changes.items():
        tree[section] = {**tree.get(section, {}), **values}
    return Settings.model_validate(tree)


class RunningCore:
    """A core and its connections, with the few steps that most tests take."""

    def __init__(self, settings: Settings, observer: Observer | None = None, tracer: Tracer | None = None) -> None:
        self.topology = Standalone(settings.redis, settings.append.deadline_ms / 1000)
        self.monitor = build_monitor(settings, self.topology, lambda: self.core.keys_in_use())  # noqa: PLW0108 - there is no core yet
        self.core = build_core(settings, self.topology, self.monitor, observer, tracer)
        self._followers: list[Follower | Receiver] = []
        self._is_closed = False
        self.topology.start()
        self.monitor.connect()
        self.core.appender.start()

    async def ready(self) -> RunningCore:
        """This core, once it is connected, however short the deadline of its calls is."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.topology.main.is_up:
                with suppress(RedisUnavailableError):
                    await self.topology.main.ready()
        return self

    def stream(self, session: str = S, model: str = M) -> StreamKey:
        return self.core.stream(session, model)

    async def write(self, text: str, *, session: str = S, model: str = M, **more: Any) -> Ticket:
        """Produce one token on its own, as a unary call does."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.core.appender.append(session, model, draft(text, session=session, model=model, **more))

    def give_up_after(self, deadline_s: float) -> None:
        """Messages that are sent from here on wait that long for Redis."""
        appender = self.core.appender
        appender.bounds = dataclasses.replace(appender.bounds, deadline_s=deadline_s)

    def connection(self, *, fences: bool = True) -> Connection:
        """A producing connection; `fences=False` shares its streams with other writers."""
        return Connection(self.core, fences=fences)

    async def generate(self, count: int, *, complete: bool = False, **more: Any) -> list[Ticket]:
        """A generation of `count` tokens `0`, `1`, ... on a connection of its own, all of which are written."""
        connection = self.connection()
        for number in range(count):
            last = complete and number == count - 1
            connection.send(str(number), complete="stop" if last else None, **more)
        tickets = await connection.answers()
        failed = [ticket.error for ticket in tickets if ticket.error is not None]
        assert not failed, f"{len(failed)} of {count} were not written, the first: {failed[0]!r}"
        return tickets

    async def follow(
        self, start: str = "0", *, session: str = S, model: str = M, is_resumed: bool | None = None, wait_s: float = 0.0
    ) -> Follower:
        """A subscriber of the stream's tail."""
        resumed = start not in ("0", "$") if is_resumed is None else is_resumed
        tail = await self.core.tails.open(self.stream(session, model), start, is_resumed=resumed, wait_s=wait_s)
        follower = Follower(tail)
        self._followers.append(follower)
        return follower

    def subscribe(
        self, group: str, consumer: str, *, model: str | None = None, max_in_flight: int = 1000, acks: bool = True
    ) -> Receiver:
        """A subscriber of all streams of a model, or of all models."""
        request = SubscriptionRequest(group, consumer, model, max_in_flight)
        receiver = Receiver(self.core, self.core.subscribe(request), acks=acks)
        self._followers.append(receiver)
        return receiver

    async def read(
        self, group: str, consumer: str, count: int = 10, block_s: float = 0.0, *, session: str = S, model: str = M
    ) -> list[Delivery]:
        """One read of a consumer of a group."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.core.groups.read(Reading(self.stream(session, model), group, consumer), count, block_s)

    async def acknowledge(self, group: str, deliveries: list[Delivery]) -> int:
        """Acknowledge deliveries of one stream."""
        ids = [delivery.entry.id for delivery in deliveries]
        return await self.core.groups.acknowledge(deliveries[0].stream, group, ids)

    async def close(self) -> None:
        """Stop, in the order in which the composition root stops."""
        if self._is_closed:
            return
        self._is_closed = True
        for follower in self._followers:
            await follower.close()
        await self.core.appender.close()
        await self.core.index.close()
        await self.core.reader.close()
        await self.monitor.close()
        await self.topology.close()


class StartCore(Protocol):
    """Starts a core on the Redis at `url`; sections of the settings as keywords."""

    def __call__(self, url: str, **changes: dict[str, Any]) -> RunningCore: ...


@asynccontextmanager
async def starting_cores() -> AsyncIterator[StartCore]:
    """A factory of running cores, closed in the end, the last one first.

    Their messages wait for longer than the test has patience, unless it says otherwise: none is refused for its age.
    """
    cores: list[RunningCore] = []

    def start(url: str, **changes: dict[str, Any]) -> RunningCore:
        append = {"deadline_ms": 20_000, **changes.pop("append", {})}
        core = RunningCore(settings_of(url, append=append, **changes))
        cores.append(core)
        return core

    try:
        yield start
    finally:
        for core in reversed(cores):
            await core.close()
