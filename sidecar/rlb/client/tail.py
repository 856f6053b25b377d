"""Live tails: the messages of one generation as they come, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any

from pydantic_core import from_json

from rlb.client.answers import message_from_wire
from rlb.client.leavable import Leavable
from rlb.client.transport import NDJSON, LinkError, Transport, is_passing
from rlb.domain.entry import Gap
from rlb.domain.entry_id import parse_entry_id
from rlb.domain.message import StreamMessage
from rlb.errors import RlbError, StreamNotFoundError, from_problem

WAIT_S = 20.0
"""The longest that one request waits for a stream to appear; then comes the next."""

SILENCE_S = 40.0
"""A sidecar that has nothing to say sends a ping every 15 s; this much silence is a lost connection."""

_log = logging.getLogger("rlb.client.tail")


class Tail(Leavable[StreamMessage]):
    """The messages of a stream up to the end of a generation; iterate it with `async for`.

    It reconnects by itself and goes on behind the last message that it gave. Messages that Redis no longer held by
    then are a gap: it is logged, counted in `gaps`, and told to `on_gap`, which may raise to end the tail.

    The iteration raises:
        StreamNotFoundError: there is no such stream, and none appeared within the time given to wait for it.
        StreamGoneError: it has expired or been deleted.
        InvalidIdError: the start is none of `0`, `$` and an entry id.
        SidecarUnreachableError: no sidecar answered for as long as the tail has patience.
        ApiError: Redis could not be read for as long.
    """

    def __init__(
        self,
        transport: Transport,
        stream: tuple[str, str],
        *,
        start: str,
        wait_s: float,
        patience_s: float | None,
        on_gap: Callable[[Gap], None] | None,
    ) -> None:
        self.last_entry_id: str | None = None
        """Where the latest message stands; a later tail may start behind it."""
        self.gaps = 0
        """Gaps so far."""
        self.missing = 0
        """Messages in these gaps, as far as their number is known."""
        self.unreadable = 0
        """Entries that were passed over because they hold no StreamMessage."""
        self._transport = transport
        self._session_id, self._model_id = stream
        self._start = start
        self._wait_s = wait_s
        self._patience_s = patience_s
        self._on_gap = on_gap

    async def _iterate(self) -> AsyncGenerator[StreamMessage, None]:
        loop = asyncio.get_running_loop()
        wait_until_s = loop.time() + self._wait_s
        patience = self._transport.patience(self._patience_s)
        await self._fix_start()
        while True:
            wait_ms = round(1000 * min(WAIT_S, max(0.0, wait_until_s - loop.time())))
            params, headers = self._request(wait_ms)
            try:
                async with self._transport.stream(
                    "GET", "/v1/tail", params=params, headers=headers, silence_s=SILENCE_S
                ) as lines:
                    if lines.status == 204:
                        return
                    while (batch := await lines.next()) is not None:
                        for line in batch:
                            members = from_json(line)
                            if "error" in members:
                                raise from_problem(members["error"])
                            patience.contact()
                            if "message" in members:
                                message = message_from_wire(members["message"])
                                self.last_entry_id = members["entryId"]
                                if message is None:
                                    self.unreadable += 1
                                    continue
                                yield message
                                if message.is_complete:
                                    return
                            elif "gap" in members:
                                self._note_gap(members["gap"])
                            elif "end" in members:
                                return
                raise LinkError(self._transport.path, "the connection was closed", was_sent=True)
            except StreamNotFoundError:
                if loop.time() >= wait_until_s:
                    raise
            except RlbError as error:
                if not is_passing(error):
                    raise
                _log.info("tail.interrupted", extra={"reason": str(error), "last_entry_id": self.last_entry_id})
                await patience.pause(error)

    def _request(self, wait_ms: int) -> tuple[dict[str, str], dict[str, str]]:
        params = {"sessionId": self._session_id, "modelId": self._model_id}
        headers = {"Accept": NDJSON}
        if self.last_entry_id is not None:
            headers["Last-Event-ID"] = self.last_entry_id
        else:
            params |= {"from": self._start, "waitMs": str(wait_ms)}
        return params, headers

    async def _fix_start(self) -> None:
        """Turn "from now on" into an entry id, so that a connection lost before the first message loses none."""
        if self._start != "$":
            return
        try:
            info = await self._transport.call("GET", f"/v1/streams/{self._session_id}/{self._model_id}")
        except StreamNotFoundError:
            self._start = "0"
        else:
            self._start = info["lastGeneratedId"]

    def _note_gap(self, members: dict[str, Any]) -> None:
        gap = Gap(parse_entry_id(members["after"]), parse_entry_id(members["before"]), members["missing"])
        self.gaps += 1
        self.missing += gap.missing or 0
        _log.warning(
            "tail.gap",
            extra={
                "session_id": self._session_id,
                "model_id": self._model_id,
                "after": str(gap.after),
                "before": str(gap.before),
                "missing": gap.missing,
            },
        )
        if self._on_gap is not None:
            self._on_gap(gap)
