"""Who takes part in a core: those who write to it, follow a tail of it, or are given deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from rlb.bridge.core import Core
from rlb.bridge.delivery import Delivery
from rlb.bridge.subscribe import Subscription
from rlb.bridge.tail import Tail, TailEvent
from rlb.bridge.ticket import Producer, Ticket
from rlb.domain.entry import Entry
from tests.support.assertions import PATIENCE_S, eventually
from tests.support.tokens import M, S, draft, token_of


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
