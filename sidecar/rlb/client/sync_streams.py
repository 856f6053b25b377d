"""What a synchronous bridge gives out beyond plain answers: generations, tails and deliveries for threads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterator
from types import TracebackType
from typing import Self, TypeVar

from rlb.client.answers import Ack
from rlb.client.delivery import Delivery
from rlb.client.generation import Generation
from rlb.client.loop_thread import LoopThread
from rlb.client.subscription import Subscription
from rlb.client.tail import Tail
from rlb.domain.message import StreamMessage

ItemT = TypeVar("ItemT")


class SyncGeneration:
    """A `Generation` for a thread: a context manager whose methods block."""

    def __init__(self, thread: LoopThread, generation: Generation) -> None:
        self._thread = thread
        self._generation = generation

    @property
    def acked(self) -> int:
        """Messages that stand in the stream, the completing one included."""
        return self._generation.acked

    @property
    def unacked(self) -> int:
        """Messages that were produced and have no answer yet."""
        return self._generation.unacked

    @property
    def last_ack(self) -> Ack | None:
        """The ack of the latest acknowledged message."""
        return self._generation.last_ack

    @property
    def last_entry_id(self) -> str | None:
        """Where the latest acknowledged message stands."""
        return self._generation.last_entry_id

    def produce(self, token: str) -> str:
        """Send a token; waits only while the window is full. Raises what `Generation.produce` raises."""
        return self._thread.call(self._generation.produce(token))

    def complete(self, reason: str = "stop") -> Ack:
        """End the generation and wait for its acks. Raises what `Generation.complete` raises."""
        return self._thread.call(self._generation.complete(reason))

    def flush(self) -> None:
        """Wait for all acks. Raises what `Generation.flush` raises."""
        self._thread.call(self._generation.flush())

    def __enter__(self) -> Self:
        self._thread.call(self._generation.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.call(self._generation.__aexit__(kind, error, trace))


class SyncDelivery:
    """A `Delivery` for a thread: a message that waits for the app's `ack`."""

    def __init__(self, thread: LoopThread, delivery: Delivery) -> None:
        self._thread = thread
        self._delivery = delivery

    def __repr__(self) -> str:
        return repr(self._delivery)

    @property
    def message(self) -> StreamMessage:
        """The message."""
        return self._delivery.message

    @property
    def entry_id(self) -> str:
        """Where it stands in its stream."""
        return self._delivery.entry_id

    @property
    def delivery_count(self) -> int:
        """1 the first time."""
        return self._delivery.delivery_count

    @property
    def session_id(self) -> str:
        """The session of its stream."""
        return self._delivery.session_id

    @property
    def model_id(self) -> str:
        """The model of its stream."""
        return self._delivery.model_id

    @property
    def traceparent(self) -> str | None:
        """The span of its generation, see `Delivery.traceparent`."""
        return self._delivery.traceparent

    def ack(self) -> None:
        """Settle the delivery. Raises what `Delivery.ack` raises."""
        self._thread.call(self._delivery.ack())

    def nack(self, reason: str = "refused by the app") -> None:
        """Give the delivery back. Raises what `Delivery.nack` raises."""
        self._thread.call(self._delivery.nack(reason))


class SyncTail:
    """A `Tail` for a thread; iterate it with `for`."""

    def __init__(self, thread: LoopThread, tail: Tail) -> None:
        self._thread = thread
        self._tail = tail

    @property
    def last_entry_id(self) -> str | None:
        """Where the latest message stands; a later tail may start behind it."""
        return self._tail.last_entry_id

    @property
    def gaps(self) -> int:
        """Gaps so far."""
        return self._tail.gaps

    @property
    def missing(self) -> int:
        """Messages in these gaps, as far as their number is known."""
        return self._tail.missing

    def __iter__(self) -> Iterator[StreamMessage]:
        return one_by_one(self._thread, aiter(self._tail))

    def close(self) -> None:
        """End the tail, which another thread may be waiting for."""
        self._thread.call(self._tail.aclose())


class SyncSubscription:
    """A `Subscription` for a thread; iterate it with `for`, it never ends by itself."""

    def __init__(self, thread: LoopThread, subscription: Subscription) -> None:
        self._thread = thread
        self._subscription = subscription

    @property
    def consumer(self) -> str:
        """This reader's name in the group."""
        return self._subscription.consumer

    def __iter__(self) -> Iterator[SyncDelivery]:
        for delivery in one_by_one(self._thread, aiter(self._subscription)):
            yield SyncDelivery(self._thread, delivery)

    def close(self) -> None:
        """End the subscription."""
        self._thread.call(self._subscription.aclose())


def one_by_one(thread: LoopThread, items: AsyncGenerator[ItemT, None]) -> Generator[ItemT, None, None]:
    """The items one at a time. Let go of, `items` is closed by its own loop."""

    async def following() -> ItemT | None:
        return await anext(items, None)

    while (item := thread.call(following())) is not None:
        yield item
