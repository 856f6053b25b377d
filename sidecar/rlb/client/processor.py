"""The stream processor: runs a handler over a group, and acknowledges what the handler has done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, overload

from rlb.client.bridge import Bridge
from rlb.client.delivery import Delivery, StreamName
from rlb.client.finished_generation import FinishedGeneration, GenerationReader, UnreadableError
from rlb.client.handler_call import HandlerCall, place_of
from rlb.client.lanes import Lanes
from rlb.client.patience import Backoff
from rlb.domain.message import StreamMessage
from rlb.errors import RlbError

MessageHandler = Callable[[StreamMessage], Awaitable[None] | None]
GenerationHandler = Callable[[FinishedGeneration], Awaitable[None] | None]

STOP_S = 10.0
"""How long a stop lets running handlers finish, unless told otherwise."""

RETRY_PAUSES = Backoff(first_s=0.1, longest_s=5.0)

_log = logging.getLogger("rlb.client.processor")


@dataclass(frozen=True, slots=True)
class ProcessorStatistics:
    """Counts since the start.

    `handled`: messages or generations that are done and acknowledged; `retried`: attempts beyond the first;
    `refused`: given back after the last attempt; `held`: wait or are being handled now.
    """

    handled: int
    retried: int
    refused: int
    held: int


class StreamProcessor:
    """Runs `handler` for each message of a group, or for each finished generation.

    Streams are handled side by side, at most `concurrency` at a time; what belongs to one session and model is
    handled in order, one after the other. A handler that raises is called again, up to `attempts` times with pauses
    between; then the message is given back with the name of the exception as the reason, and those behind it go on. The
    sidecar delivers it again, and sets it aside as a dead letter after `RLB_GROUPS__MAX_DELIVERIES` times.

    A message is acknowledged when its handler has returned, never otherwise: not on an error, a crash or a stop. So
    a handler may see a message again, and has to bear it; `StreamMessage.id` tells.

    With `per="generation"` the completing message stands for its generation. The handler gets the whole answer, read
    back from the stream, so it does not matter which consumer of the group was handed which token; only the
    completing message waits for the handler, is given back or becomes a dead letter, while the tokens before it are
    acknowledged as they pass. Were they held until the end, a long answer would be taken from its consumer when it
    has been idle for `RLB_GROUPS__CLAIM_IDLE_MS`.

    Bounds: `max_in_flight` messages are held at most, and no more are fetched while that many wait. A generation of
    more than `max_generation_messages` is given back with that reason.

    Use `run()`, or `async with`, which runs it until the block is left.
    """

    @overload
    def __init__(
        self,
        bridge: Bridge,
        group: str,
        handler: MessageHandler,
        *,
        per: Literal["message"] = "message",
        model_id: str = "*",
        consumer: str | None = None,
        concurrency: int = 16,
        max_in_flight: int = 256,
        attempts: int = 3,
        pauses: Backoff = RETRY_PAUSES,
        stop_s: float = STOP_S,
    ) -> None: ...

    @overload
    def __init__(
        self,
        bridge: Bridge,
        group: str,
        handler: GenerationHandler,
        *,
        per: Literal["generation"],
        model_id: str = "*",
        consumer: str | None = None,
        concurrency: int = 16,
        max_in_flight: int = 256,
        max_generation_messages: int = 10_000,
        attempts: int = 3,
        pauses: Backoff = RETRY_PAUSES,
        stop_s: float = STOP_S,
    ) -> None: ...

    def __init__(
        self,
        bridge: Bridge,
        group: str,
        handler: Callable[[Any], Awaitable[None] | None],
        *,
        per: Literal["message", "generation"] = "message",
        model_id: str = "*",
        consumer: str | None = None,
        concurrency: int = 16,
        max_in_flight: int = 256,
        max_generation_messages: int = 10_000,
        attempts: int = 3,
        pauses: Backoff = RETRY_PAUSES,
        stop_s: float = STOP_S,
    ) -> None:
        self._bridge = bridge
        self._group = group
        self._handler = handler
        self._per = per
        self._model_id = model_id
        self._consumer = consumer
        self._concurrency = concurrency
        self._max_in_flight = max_in_flight
        self._attempts = max(1, attempts)
        self._pauses = pauses
        self._stop_s = stop_s
        self._reader = GenerationReader(
            lambda stream, start, on_gap: bridge.tail(*stream, start=start, on_gap=on_gap), max_generation_messages
        )
        self._handled = self._retried = self._refused = 0
        self._passing: set[asyncio.Task[bool]] = set()
        self._at_work: set[tuple[StreamName, str]] = set()
        self._lanes: Lanes | None = None
        self._running: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @property
    def statistics(self) -> ProcessorStatistics:
        """What it has done so far."""
        held = 0 if self._lanes is None else self._lanes.held
        return ProcessorStatistics(self._handled, self._retried, self._refused, held)

    async def run(self) -> None:
        """Process until `stop` is called.

        Raises:
            SidecarUnreachableError: no sidecar answered for as long as the bridge has patience.
            ApiError: the sidecar refuses the subscription.
        """
        self._at_work.clear()
        lanes = self._lanes = Lanes(self._concurrency, self._max_in_flight)
        call = HandlerCall(self._handler, self._concurrency)
        pulling = asyncio.create_task(self._pull(lanes, call), name="rlb processor intake")
        stopping = asyncio.create_task(self._stopping.wait(), name="rlb processor stop")
        try:
            await asyncio.wait((pulling, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            failed = pulling.done()
            pulling.cancel()
            await asyncio.gather(pulling, stopping, return_exceptions=True)
            left = await lanes.stop(self._stop_s if self._stopping.is_set() or failed else 0.0)
            if self._passing:
                await asyncio.wait(self._passing, timeout=self._stop_s)
            call.close()
            log = _log.warning if left else _log.info
            log("processor.stopped", extra={"group": self._group, "left_pending": left})
        if failed:
            pulling.result()

    async def stop(self, deadline_s: float | None = None) -> None:
        """Fetch nothing more, start no further handler, and let those that run finish within the deadline.

        What is cut off or was not begun stays pending, and is delivered again. Returns when `run` has ended if this
        processor was entered with `async with`; otherwise wait for `run` where it was called.
        """
        if deadline_s is not None:
            self._stop_s = deadline_s
        self._stopping.set()
        if self._running is not None:
            await asyncio.wait((self._running,))

    async def wait(self) -> None:
        """Inside of `async with`: wait until processing ends, and raise what ended it."""
        if self._running is None:
            raise RuntimeError("the processor was not entered with `async with`")
        await asyncio.shield(self._running)

    async def __aenter__(self) -> Self:
        self._stopping.clear()
        self._running = asyncio.create_task(self.run(), name="rlb processor")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        running = self._running
        await self.stop()
        self._running = None
        if running is not None and error is None:
            running.result()

    async def _pull(self, lanes: Lanes, call: HandlerCall[Any]) -> None:
        subscription = self._bridge.subscribe(
            self._group, consumer=self._consumer, model_id=self._model_id, max_in_flight=self._max_in_flight
        )
        async with subscription:
            async for delivery in subscription:
                name = (delivery.stream, delivery.entry_id)
                if self._per == "generation" and not delivery.message.is_complete:
                    self._pass(delivery)
                elif name not in self._at_work:
                    # Else its handler takes longer than the sidecar waits for an ack; twice at once helps nobody.
                    self._at_work.add(name)
                    await lanes.add(delivery.stream, partial(self._work_on, delivery, call))

    def _pass(self, delivery: Delivery) -> None:
        """Acknowledge a token that its completing message stands for; as many at once as may be in flight."""
        acking = asyncio.create_task(self._settle(delivery, None), name="rlb processor ack")
        self._passing.add(acking)
        acking.add_done_callback(self._passing.discard)

    async def _work_on(self, delivery: Delivery, call: HandlerCall[Any]) -> None:
        try:
            await self._process(delivery, call)
        finally:
            self._at_work.discard((delivery.stream, delivery.entry_id))

    async def _process(self, delivery: Delivery, call: HandlerCall[Any]) -> None:
        reason = ""
        for attempt in range(self._attempts):
            if attempt:
                self._retried += 1
                await asyncio.sleep(self._pauses.delay_s(attempt - 1))
            try:
                await call(await self._subject(delivery))
            except UnreadableError as error:
                reason = str(error)
                break
            except Exception as error:  # noqa: BLE001 - whatever a handler raises is a reason to try again
                reason = f"{type(error).__name__} in attempt {attempt + 1} of {self._attempts}"
                facts = {"entry_id": delivery.entry_id, "reason": reason, "frames": place_of(error)}
                _log.warning("processor.attempt_failed", extra={"group": self._group, **facts})
            else:
                if await self._settle(delivery, None):
                    self._handled += 1
                return
        if await self._settle(delivery, reason):
            self._refused += 1

    async def _subject(self, delivery: Delivery) -> StreamMessage | FinishedGeneration:
        if self._per == "message":
            return delivery.message
        return await self._reader.read(delivery.stream, delivery.entry_id)

    async def _settle(self, delivery: Delivery, refusal: str | None) -> bool:
        """Acknowledge or give back; where that fails the delivery stays pending and comes again."""
        try:
            await (delivery.ack() if refusal is None else delivery.nack(refusal))
        except RlbError as error:
            facts = {"entry_id": delivery.entry_id, "reason": str(error)}
            _log.warning("processor.settling_failed", extra={"group": self._group, **facts})
            return False
        return True
