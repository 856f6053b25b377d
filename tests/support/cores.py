"""Cores as the composition root builds them, without a socket in front: what contract and fault tests drive."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol, TypeVar

from rlb.bridge.build import build_core
from rlb.bridge.core import Core
from rlb.bridge.delivery import Delivery, Reading
from rlb.bridge.observer import Observer
from rlb.bridge.subscribe import Subscription, SubscriptionRequest
from rlb.bridge.tail import Tail, TailEvent
from rlb.bridge.ticket import Producer, Ticket
from rlb.bridge.tracer import Tracer
from rlb.domain.draft import Draft, Durability, TokenRequest, draft_from_token
from rlb.domain.entry import Entry
from rlb.domain.stream_key import StreamKey
from rlb.errors import RedisUnavailableError
from rlb.monitor.build import build_monitor
from rlb.redis_io.topology import Standalone
from rlb.settings import Settings

S, M = "s-1", "meta-llama/Llama-3.1-8B:free"
KEY = f"llm:stream:{S}:{M}"
PATIENCE_S = 15.0

T = TypeVar("T")


def settings_of(url: str, **changes: dict[str, Any]) -> Settings:
    """Settings for a core on the Redis at `url`, with what the test changes, section by section."""
    tree: dict[str, dict[str, Any]] = {"redis": {"url": url}}
    for section, values in changes.items():
        tree[section] = {**tree.get(section, {}), **values}
    return Settings.model_validate(tree)


def draft(
    text: str,
    *,
    session: str = S,
    model: str = M,
    message_id: str | None = None,
    complete: str | None = None,
    durability: Durability = "written",
    traceparent: str | None = None,
    tracestate: str | None = None,
    requested_at: int | None = None,
    **more: Any,
) -> Draft:
    """The draft of a token, as the socket makes it; further members of the request by their Python names."""
    request = TokenRequest(
        session_id=session,
        model_id=model,
        token=text,
        message_id=message_id,
        complete=complete,
        durability=durability,
        traceparent=traceparent,
        tracestate=tracestate,
        requested_at=requested_at,
        **more,
    )
    return draft_from_token(request, time.time_ns() // 1_000_000)


class Connection:
    """A producing connection: what it sends, and the answers it gets, in their order."""

    def __init__(self, core: Core, *, fences: bool) -> None:
        self.producer = Producer(fences=fences)
        self.sent: list[Ticket] = []
        self.answered: list[Ticket] = []
        self._core = core
        self._answer = asyncio.Event()

    def send(self, text: str, *, session: str = S, model: str = M, opens: bool = False, **more: Any) -> Ticket:
        """Submit a token; it is answered now or later."""
        message = draft(text, session=session, model=model, **more)
        submit = self._core.appender.submit
        ticket = submit(session, model, message, self._on_done, producer=self.producer, opens=opens)
        self.sent.append(ticket)
        return ticket

    async def send_patiently(self, text: str, **more: Any) -> None:
        """Submit a token once there is room."""
        await self._core.appender.with_room(lambda: self.send(text, **more))

    def _on_done(self, ticket: Ticket) -> None:
        self.answered.append(ticket)
        self._answer.set()

    async def unanswered_at_most(self, count: int, timeout_s: float = PATIENCE_S) -> None:
        """Wait until no more than `count` of what was sent have no answer."""
        async with asyncio.timeout(timeout_s):
            while len(self.sent) - len(self.answered) > count:
                self._answer.clear()
                await self._answer.wait()

    async def answers(self, timeout_s: float = PATIENCE_S) -> list[Ticket]:
        """Everything that was sent, once all of it is answered, each once."""
        await self.unanswered_at_most(0, timeout_s)
        assert len(self.sent) == len(self.answered) == len({id(ticket) for ticket in self.answered})
        return self.sent


class Follower:
    """A subscriber of a tail: collects its events in the background."""

    def __init__(self, tail: Tail) -> None:
        self.tail = tail
        self.events: list[TailEvent] = []
        self.failure: BaseException | None = None
        self._task = asyncio.create_task(self._run())

    @property
    def entries(self) -> list[Entry]:
        return [event for event in self.events if isinstance(event, Entry)]

    @property
    def sequences(self) -> list[int]:
        return [entry.id.seq for entry in self.entries]

    @property
    def has_ended(self) -> bool:
        return self._task.done()

    async def _run(self) -> None:
        try:
            async for batch in self.tail.batches():
                self.events += batch
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.failure = error

    async def until(self, condition: Callable[[Follower], object], timeout_s: float = PATIENCE_S) -> None:
        """Wait until the condition holds."""
        await eventually(lambda: condition(self), timeout_s, lambda: f"tail has {self.events[-3:]}, {self.failure!r}")

    async def ended(self, timeout_s: float = PATIENCE_S) -> list[TailEvent]:
        """All events of a tail that ends by itself."""
        async with asyncio.timeout(timeout_s):
            await asyncio.shield(self._task)
        assert self.failure is None, self.failure
        return self.events

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.tail.close()


class Receiver:
    """A subscription whose deliveries are collected in the background, and acknowledged if `acks`."""

    def __init__(self, core: Core, subscription: Subscription, *, acks: bool) -> None:
        self.subscription = subscription
        self.deliveries: list[Delivery] = []
        self.most_in_flight = 0
        self._core = core
        self._acks = acks
        self.acknowledged = 0
        self._is_closed = False
        self._task = asyncio.create_task(self._run())

    @property
    def tokens(self) -> list[str]:
        return [token_of(delivery.entry) for delivery in self.deliveries]

    async def _run(self) -> None:
        async for batch in self.subscription.batches():
            self.deliveries += batch
            self.most_in_flight = max(self.most_in_flight, len(self.deliveries) - self.acknowledged)
            if self._acks:
                for delivery in batch:
                    await self.acknowledge(delivery)

    async def acknowledge(self, delivery: Delivery) -> None:
        group = self.subscription.request.group
        await self._core.groups.acknowledge(delivery.stream, group, [delivery.entry.id])
        self.acknowledged += 1

    async def until(self, condition: Callable[[Receiver], object], timeout_s: float = PATIENCE_S) -> None:
        """Wait until the condition holds."""
        await eventually(lambda: condition(self), timeout_s, lambda: f"{len(self.deliveries)} deliveries")

    async def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self.subscription.close()


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
    """A factory of running cores, closed in the end, the last one first."""
    cores: list[RunningCore] = []

    def start(url: str, **changes: dict[str, Any]) -> RunningCore:
        core = RunningCore(settings_of(url, **changes))
        cores.append(core)
        return core

    try:
        yield start
    finally:
        for core in reversed(cores):
            await core.close()


async def eventually(
    condition: Callable[[], Awaitable[object] | object],
    timeout_s: float = PATIENCE_S,
    told: Callable[[], str] = lambda: "never came true",
) -> None:
    """Wait until the condition holds; `told` says what there was instead."""
    until_s = time.monotonic() + timeout_s
    while True:
        holds = condition()
        if inspect.isawaitable(holds):
            holds = await holds
        if holds:
            return
        assert time.monotonic() < until_s, told()
        await asyncio.sleep(0.01)


def assert_same(found: Sequence[object], expected: Sequence[object]) -> None:
    """Like `found == expected`, told by the first difference: pytest's own comparison of long lists takes minutes."""
    for at, (one, other) in enumerate(zip(found, expected, strict=False)):
        assert one == other, f"{one!r} instead of {other!r} at {at} of {len(expected)}"
    assert len(found) == len(expected), f"{len(found)} instead of {len(expected)}"


def token_of(entry: Entry) -> str:
    """The token of an entry that rlb wrote."""
    token: str = json.loads(entry.json)["token"]
    return token
