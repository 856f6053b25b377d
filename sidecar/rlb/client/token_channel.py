"""The connection that generations share: lines out and acks in, at the same time and in the same order.

Generations of one durability share a channel: acks come in order, so tokens that only have to be written must not
wait behind others that have to reach a disk.
"""

from __future__ import annotations

import asyncio
import logging

from pydantic_core import from_json

from rlb.client.delivery import StreamName
from rlb.client.outbox import Line, Outbox, Sender
from rlb.client.patience import Patience
from rlb.client.transport import NDJSON, LinkError, Transport, is_passing
from rlb.errors import ApiError, DrainingError, FencedError, RequestTimeoutError, RlbError, from_problem

IDLE_S = 5.0
"""How long the connection is kept without an open generation."""

_log = logging.getLogger("rlb.client.tokens")


class TokenChannel:
    """Sends lines as soon as the event loop turns, and tells their senders what became of them.

    When the connection is lost, or the sidecar drains, the lines without an answer are sent again on a new one: they
    carry message ids, by which the sidecar recognises those that had landed. `ack_timeout_s` is the silence, with
    acks due, after which a connection counts as lost.
    """

    def __init__(self, transport: Transport, ack_timeout_s: float) -> None:
        self._transport = transport
        self._ack_timeout_s = ack_timeout_s
        self._outbox = Outbox()
        self._open: dict[StreamName, Sender] = {}
        self._answers = 0
        self._runner: asyncio.Task[None] | None = None

    def attach(self, stream: StreamName, sender: Sender) -> None:
        """A generation begins: keep the connection, and end the one that is open on the same stream.

        To the sidecar a connection is one writer, which it does not tell from itself.
        """
        rival = self._open.pop(stream, None)
        self._open[stream] = sender
        if rival is not None:
            rival.on_fenced(FencedError(f"another generation of this app has taken over {', '.join(stream)}"))

    def detach(self, stream: StreamName, sender: Sender) -> None:
        """A generation has ended."""
        if self._open.get(stream) is sender:
            del self._open[stream]

    def send(self, sender: Sender, message_id: str, body: bytes) -> None:
        """Send a line together with the others of this turn; never waits."""
        self._outbox.put(Line(sender, message_id, body))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run(), name="rlb token channel")

    async def close(self) -> None:
        """Give up at once; lines without an answer fail."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
        self._fail(LinkError(self._transport.path, "the bridge was closed", was_sent=True))

    async def _run(self) -> None:
        """Converse until there is nothing to say; the next line starts this again."""
        patience = self._transport.patience()
        try:
            while not self._outbox.is_empty:
                try:
                    await self._converse(patience)
                except RlbError as error:
                    if not is_passing(error):
                        raise
                    _log.info("tokens.interrupted", extra={"reason": str(error)})
                    await patience.pause(error)
        except RlbError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - a fault of this code; still nobody may wait for an ack for ever
            _log.exception("tokens.failed")
            self._fail(LinkError(self._transport.path, f"the client failed ({type(error).__name__})", was_sent=True))

    async def _converse(self, patience: Patience) -> None:
        """One request; returns when it is over and every line has its answer.

        Raises:
            RlbError: some lines have no answer.
        """
        body = self._outbox.begin()
        headers = {"Content-Type": NDJSON}
        try:
            async with asyncio.timeout(None) as deadline:
                watchdog = asyncio.create_task(self._watch(deadline), name="rlb token watchdog")
                try:
                    async with self._transport.stream("POST", "/v1/tokens", headers=headers, body=body) as lines:
                        while (answers := await lines.next()) is not None:
                            self._take(answers, patience)
                finally:
                    watchdog.cancel()
        except TimeoutError:
            reason = f"no ack for {self._ack_timeout_s:g} s"
            raise LinkError(self._transport.path, reason, was_sent=True, is_timeout=True) from None
        if not self._outbox.is_empty and not self._outbox.is_ended:
            raise LinkError(self._transport.path, "the connection was closed", was_sent=True)

    def _take(self, answers: list[bytes], patience: Patience) -> None:
        """Match answers with lines.

        Raises:
            SidecarUnreachableError: the sidecar takes nothing more, and has answered all that was sent.
        """
        outbox = self._outbox
        self._answers += len(answers)
        for answer in answers:
            members = from_json(answer)
            line = outbox.next_answered()
            if "error" not in members:
                patience.contact()
                line.sender.on_ack(line, members)
                continue
            error: ApiError = from_problem(members["error"])
            if isinstance(error, DrainingError | RequestTimeoutError):
                # A line that came too slowly, because this process stood still, was not read to its end.
                outbox.postpone(line)
            else:
                patience.contact()
                line.sender.on_failure(line, error)
        if outbox.is_exhausted:
            raise LinkError(self._transport.path, "it takes nothing more on this connection", was_sent=True)

    async def _watch(self, deadline: asyncio.Timeout) -> None:
        """Cut the conversation when acks stay away, and end it when nobody needs it."""
        tick_s = min(1.0, self._ack_timeout_s / 4)
        waiting_s = idle_s = 0.0
        before = self._answers
        while True:
            await asyncio.sleep(tick_s)
            is_quiet, before = self._answers == before, self._answers
            if not self._outbox.is_empty:
                idle_s = 0.0
                waiting_s = waiting_s + tick_s if is_quiet else 0.0
                if waiting_s > self._ack_timeout_s:
                    deadline.reschedule(asyncio.get_running_loop().time())
            else:
                waiting_s = 0.0
                idle_s = idle_s + tick_s if is_quiet and not self._open else 0.0
                if idle_s >= IDLE_S:
                    self._outbox.end()

    def _fail(self, error: RlbError) -> None:
        for line in self._outbox.clear():
            line.sender.on_failure(line, error)
