"""The bridge for threads: every call of `Bridge`, waiting for its result."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from rlb.client.bridge import Bridge
from rlb.client.caller import Inject
from rlb.client.loop_thread import CLOSED, LoopThread
from rlb.client.producer_calls import Relayed
from rlb.client.sync_streams import SyncDelivery, SyncGeneration, SyncSubscription, SyncTail, one_by_one

P = ParamSpec("P")
ResultT = TypeVar("ResultT")
MadeT = TypeVar("MadeT")


def _blocking(
    method: Callable[Concatenate[Bridge, P], Coroutine[Any, Any, ResultT]],
) -> Callable[Concatenate[SyncBridge, P], ResultT]:
    """The call of `Bridge`, with the same arguments, for a thread."""

    @functools.wraps(method)
    def call(self: SyncBridge, /, *args: P.args, **kwargs: P.kwargs) -> ResultT:
        return self._wait(lambda bridge: method(bridge, *args, **kwargs))

    return call


def _made(
    method: Callable[Concatenate[Bridge, P], MadeT], wrap: Callable[[LoopThread, MadeT], ResultT]
) -> Callable[Concatenate[SyncBridge, P], ResultT]:
    """What the method of `Bridge` makes, with the same arguments, for a thread."""

    @functools.wraps(method)
    def make(self: SyncBridge, /, *args: P.args, **kwargs: P.kwargs) -> ResultT:
        async def made(bridge: Bridge) -> MadeT:
            return method(bridge, *args, **kwargs)

        return wrap(self._loop_thread, self._wait(made))

    return make


class SyncBridge:
    """`Bridge` for code without an event loop, as a context manager; any number of threads may use it at once.

    One loop runs in a thread of its own, from `with` to the end of the block. Arguments and errors are those of
    `Bridge`. Open it after a fork, not before. A callback such as `on_gap` is called in the bridge's thread, where it
    must not call the bridge; `inject` is too, in the context of the thread that calls.
    """

    def __init__(
        self,
        socket_path: str | PathLike[str] | None = None,
        *,
        patience_s: float = 30.0,
        timeout_s: float = 15.0,
        ack_timeout_s: float = 15.0,
        inject: Inject | None = None,
    ) -> None:
        self._bridge = Bridge(
            socket_path, patience_s=patience_s, timeout_s=timeout_s, ack_timeout_s=ack_timeout_s, inject=inject
        )
        self._thread: LoopThread | None = None

    @property
    def socket_path(self) -> Path:
        """The sidecar's socket."""
        return self._bridge.socket_path

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("the bridge is open already")
        thread = LoopThread()
        try:
            thread.call(self._bridge.__aenter__())
        except BaseException:
            thread.close()
            raise
        self._thread = thread
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread = self._loop_thread
        try:
            thread.call(self._bridge.__aexit__(kind, error, trace))
        finally:
            self._thread = None
            thread.close()

    produce_token = _blocking(Bridge.produce_token)
    mark_complete = _blocking(Bridge.mark_complete)
    add_message = _blocking(Bridge.add_message)

    create_group = _blocking(Bridge.create_group)
    acknowledge = _blocking(Bridge.acknowledge)
    nack = _blocking(Bridge.nack)
    dead_letters = _blocking(Bridge.dead_letters)
    replay_dead_letters = _blocking(Bridge.replay_dead_letters)
    drop_dead_letters = _blocking(Bridge.drop_dead_letters)

    pending = _blocking(Bridge.pending)
    claim = _blocking(Bridge.claim)
    bury = _blocking(Bridge.bury)
    remove_consumer = _blocking(Bridge.remove_consumer)

    create_stream = _blocking(Bridge.create_stream)
    stream_info = _blocking(Bridge.stream_info)
    streams = _blocking(Bridge.streams)
    trim_stream = _blocking(Bridge.trim_stream)
    delete_stream = _blocking(Bridge.delete_stream)

    snapshot = _blocking(Bridge.snapshot)
    health = _blocking(Bridge.health)
    ready = _blocking(Bridge.ready)
    wait_until_ready = _blocking(Bridge.wait_until_ready)

    generation = _made(Bridge.generation, SyncGeneration)
    tail = _made(Bridge.tail, SyncTail)
    subscribe = _made(Bridge.subscribe, SyncSubscription)
    watch = _made(Bridge.watch, one_by_one)

    def read_messages(
        self, session_id: str, model_id: str, group: str, consumer: str, *, count: int = 10, block_ms: int = 0
    ) -> list[SyncDelivery]:
        """Up to `count` deliveries (readMessages); with none there, waits for the first at most `block_ms`."""
        thread = self._loop_thread
        deliveries = self._wait(
            lambda bridge: bridge.read_messages(session_id, model_id, group, consumer, count=count, block_ms=block_ms)
        )
        return [SyncDelivery(thread, delivery) for delivery in deliveries]

    def relay(
        self,
        session_id: str,
        model_id: str,
        events: Iterable[bytes],
        *,
        traceparent: str | None = None,
        requested_at: int | None = None,
    ) -> Relayed:
        """Pass on an answer in the OpenAI streaming format; `events` is iterated in threads of the loop's pool."""
        return self._wait(
            lambda bridge: bridge.relay(
                session_id, model_id, _pieces(events), traceparent=traceparent, requested_at=requested_at
            )
        )

    @property
    def _loop_thread(self) -> LoopThread:
        if self._thread is None:
            raise RuntimeError(CLOSED)
        return self._thread

    def _wait(self, work: Callable[[Bridge], Coroutine[Any, Any, ResultT]]) -> ResultT:
        return self._loop_thread.call(work(self._bridge))


async def _pieces(events: Iterable[bytes]) -> AsyncGenerator[bytes, None]:
    iterator = iter(events)
    while (piece := await asyncio.to_thread(next, iterator, None)) is not None:
        yield piece
