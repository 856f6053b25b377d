"""Finished generations: a whole answer, read back from its stream once its last message is there."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from rlb.client.delivery import StreamName
from rlb.client.tail import Tail
from rlb.domain.entry import Gap
from rlb.domain.entry_id import parse_entry_id
from rlb.domain.message import StreamMessage
from rlb.errors import RlbError

READ_S = 30.0
"""How long reading one generation may take; all of it stands in the stream by then."""

REMEMBERED = 10_000
"""Streams of which the end of the latest generation is remembered; of others the stream is read from its start."""


@dataclass(frozen=True, slots=True)
class FinishedGeneration:
    """One answer. `messages` is in order and ends with the completing message.

    `missing` is how many messages Redis no longer held (None: some, their number unknown). If it is not 0, `text` has
    a hole, or lacks its beginning.
    """

    session_id: str
    model_id: str
    messages: tuple[StreamMessage, ...]
    finish_reason: str | None
    missing: int | None
    entry_id: str
    """Where the completing message stands."""

    @property
    def text(self) -> str:
        """The answer."""
        return "".join(message.payload.content for message in self.messages)


class UnreadableError(RlbError):
    """A generation cannot be handed over; the text says why, and is fit to be the reason of a dead letter."""


class GenerationReader:
    """Reads generations back.

    A group of several consumers spreads the messages of one stream over all of them, so no consumer can put an
    answer together from its own deliveries; the stream itself holds all of it. At most `max_messages` are held in
    memory for one generation: a longer one is refused.
    """

    def __init__(self, tail: Callable[[StreamName, str, Callable[[Gap], None]], Tail], max_messages: int) -> None:
        self._tail = tail
        self._max_messages = max_messages
        self._ends: OrderedDict[StreamName, str] = OrderedDict()

    async def read(self, stream: StreamName, entry_id: str) -> FinishedGeneration:
        """The generation whose completing message stands at `entry_id`.

        Raises:
            UnreadableError: it is longer than allowed, or its completing message is gone.
            RlbError: the stream is gone, or cannot be read.
        """
        last = parse_entry_id(entry_id)
        end = self._ends.get(stream)
        # A completion that comes again is not behind the latest one.
        start = end if end is not None and parse_entry_id(end) < last else "0"
        try:
            async with asyncio.timeout(READ_S):
                while True:
                    generation = await self._next(stream, start)
                    start = generation.entry_id
                    if start == entry_id:
                        self._remember(stream, entry_id)
                        return generation
                    if parse_entry_id(start) > last:
                        raise UnreadableError("the completing message is gone")
        except TimeoutError:
            raise UnreadableError(f"not read within {READ_S:g} s") from None

    async def _next(self, stream: StreamName, start: str) -> FinishedGeneration:
        messages: list[StreamMessage] = []
        gaps: list[Gap] = []
        tail = self._tail(stream, start, gaps.append)
        async with tail:
            async for message in tail:
                messages.append(message)
                if len(messages) > self._max_messages:
                    raise UnreadableError(f"longer than {self._max_messages} messages")
        if not messages or tail.last_entry_id is None:
            raise UnreadableError("the completing message is gone")
        missing = [gap.missing for gap in gaps]
        session_id, model_id = stream
        return FinishedGeneration(
            session_id,
            model_id,
            tuple(messages),
            messages[-1].payload.finish_reason,
            None if None in missing else sum(number or 0 for number in missing),
            tail.last_entry_id,
        )

    def _remember(self, stream: StreamName, entry_id: str) -> None:
        self._ends[stream] = entry_id
        self._ends.move_to_end(stream)
        if len(self._ends) > REMEMBERED:
            self._ends.popitem(last=False)
