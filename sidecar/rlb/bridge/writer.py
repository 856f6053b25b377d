"""The writer of one stream: gives out entry ids, keeps the order, and finds out what became of lost replies.

A writer owns its stream from a claim on: a script that appends one message with the id `<now>-<next sequence>`, in
Redis time. Everything behind it is a plain XADD with the next id, sent without waiting. Redis refuses an id that is
not above the stream's last, and on that one rule the rest stands:

- *Another writer's claim* makes every later id of this one too small. The refusal sends this writer back to claim,
  and the claim tells it what has been written in between.
- *A lost reply* leaves a message unsure. The writer claims again with the last id that it knows for certain; the
  claim lists everything behind that id, and what is in the list has landed, as has what came before it on the same
  connection and was trimmed since. A late copy of the lost command, still in some buffer, finds the stream past its
  id and is refused, so nothing is written twice.
- *A foreign writer* (`XADD *`) gets ids of the present. Those behind a claim are of the past, so all of them are
  refused from then on, as after another writer's claim. Where a claim's are not, because the foreign entry is not
  either, nothing is sent behind it, and the next message claims a moment later.
- *A refusal for now* (out of memory, read-only, loading) sends the refused messages back to the head of the queue,
  in order, until they land or their deadline passes.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from typing import Any

from rlb.bridge.backlog import Backlog
from rlb.bridge.claim import ClaimReply, Limits, claim_arguments, further_fields, parse_claim_reply
from rlb.bridge.returned import Returned
from rlb.bridge.standing import Standing
from rlb.bridge.ticket import Producer, Ticket
from rlb.bridge.writer_rules import WriterRules
from rlb.domain.entry_id import ZERO, EntryId
from rlb.domain.stream_key import StreamKey
from rlb.errors import ApiError, DrainingError, OverloadedError, RedisUnavailableError
from rlb.redis_io.command import Arg, encode
from rlb.redis_io.heads import first_entry_id
from rlb.redis_io.link import Link
from rlb.redis_io.replies import STREAM_GONE, ConnectionLostError, ReplyError
from rlb.redis_io.scan import message_ids
from rlb.redis_io.scripts import CLAIM

PAUSE_S = 0.05
"""The wait before a write is tried again that Redis refused for now."""

WARY_S = 1.0
"""How long a writer reckons with a foreign one; also how far ids may be ahead of the time for it to wait for them."""


class _State(enum.Enum):
    IDLE = enum.auto()
    CLAIMING = enum.auto()
    OWNING = enum.auto()
    SCANNING = enum.auto()


class StreamWriter:
    """Appends to one stream, in order, each message once."""

    def __init__(self, stream: StreamKey, link: Link, rules: WriterRules) -> None:
        self.stream = stream
        self.last_used_s = 0.0
        self._backlog = Backlog(stream.key, rules.window, rules.lost)
        self._key = stream.wire
        self._config_key = rules.keys.config(stream.key)
        self._link = link
        self._rules = rules
        self._outgoing = rules.outgoing
        self._loop = asyncio.get_running_loop()
        self._state = _State.IDLE
        self._claiming: Ticket | None = None
        self._sent: deque[tuple[Ticket, EntryId]] = deque()
        self._returned = Returned(self._backlog, stream, rules.health)
        self._standing = Standing(self._backlog)
        self._next = ZERO
        self._claimed_s = 0.0
        self._wary_until_s = 0.0
        self._pause: asyncio.TimerHandle | None = None
        self._scan_task: asyncio.Task[None] | None = None
        self._limit_to(rules.limits)

    @property
    def queued_bytes(self) -> int:
        """Memory of the messages that have no answer yet."""
        return self._backlog.queued_bytes

    @property
    def waiting(self) -> int:
        """Messages that have no answer yet."""
        on_the_way = len(self._sent) + len(self._returned) + (self._claiming is not None)
        return len(self._backlog.queue) + on_the_way

    @property
    def is_owned(self) -> bool:
        """Whether a producer has a generation open here."""
        return self._backlog.owner is not None

    def offer(self, ticket: Ticket, now_s: float, *, opens: bool) -> None:
        """Take a message; its ticket is answered at once if it is refused or was written before."""
        self.last_used_s = now_s
        if self._backlog.admit(ticket, opens=opens):
            if self._rules.tracer is not None:
                self._rules.tracer.admitted(ticket)
            self.pump()

    def release(self, producer: Producer) -> None:
        """Forget a producer that has gone; what it sent is still written."""
        self._backlog.release(producer)

    def expire(self, now_s: float) -> None:
        """Refuse what has waited past its deadline and is not on its way."""
        self._backlog.expire(now_s, self._late)

    def abandon(self) -> None:
        """Refuse what could not be written before the end."""
        self._backlog.abandon(DrainingError("the sidecar is shutting down, and could not write this before its end"))

    def close(self) -> None:
        """Stop the timer and the scan."""
        if self._pause is not None:
            self._pause.cancel()
        if self._scan_task is not None:
            self._scan_task.cancel()

    # Sending

    def pump(self) -> None:
        """Send what can be sent now."""
        if self._pause is not None or not self._link.is_up:
            return
        queue = self._backlog.queue
        try:
            while queue and self._state is _State.OWNING and not self._returned:
                if self._loop.time() - self._claimed_s > self._rules.renew_s:
                    self._claim(renews=True)
                else:
                    self._add(queue[0])
            if queue and self._state is _State.IDLE and not self._sent:
                self._claim(renews=False)
        except (OverloadedError, RedisUnavailableError):
            self._pause_for(PAUSE_S)

    def _add(self, ticket: Ticket) -> None:
        """Append the head of the queue with the next id, without waiting for the ids before it."""
        draft = ticket.draft
        entry_id = EntryId(self._next.ms, self._next.seq + 1)
        data = draft.data(entry_id.seq)
        if draft.traceparent is None:
            command = encode(*self._xadd, b"%d-%d" % entry_id, b"data", data)
        else:
            command = encode(*self._xadd, b"%d-%d" % entry_id, b"data", data, *further_fields(draft))
        self._link.send(command, self._on_added)
        self._outgoing.sent(ticket)
        self._next = ticket.sent_as = entry_id
        self._backlog.queue.popleft()
        self._sent.append((ticket, entry_id))

    def _claim(self, *, renews: bool) -> None:
        """Claim with the message at the head of the queue.

        A renewal follows commands that are still on their way, on the same connection; it is strict, so that it
        fails if one of them does.
        """
        head = self._backlog.queue[0]
        arguments = claim_arguments(
            known=self._next if renews else self._standing.known,
            strict=renews or head.is_exclusive or self._standing.doubt_ms is not None,
            window=self._rules.window,
            draft=head.draft,
            floor=max(self._standing.sequence, self._next.seq if renews else 0) + 1,
            limits=self._rules.limits,
        )
        CLAIM.send(self._link.send, (self._key, self._config_key), arguments, self._on_claimed)
        self._outgoing.sent(head)
        self._claiming = self._backlog.queue.popleft()
        self._state = _State.CLAIMING

    def _touch_index(self, now_ms: int) -> None:
        """Note the stream's activity; the index lives apart from the stream, so this is not part of the claim."""
        if self._link.is_up:
            self._link.send(encode(b"ZADD", self._rules.keys.index, now_ms, self._key), lambda _: None)

    def _limit_to(self, limits: Limits) -> None:
        bound = (b"MAXLEN", b"~", limits.max_length) if limits.max_length else ()
        self._xadd: tuple[Arg, ...] = (b"XADD", self._key, b"NOMKSTREAM", *bound)

    # Replies

    def _on_added(self, reply: Any) -> None:
        ticket, entry_id = self._sent.popleft()
        if ticket.timed_s:
            self._outgoing.answered(ticket, reply)
        if isinstance(reply, bytes):
            if self._returned:
                self._returned.give_up_overtaken()
            self._landed(ticket, self._standing.known, entry_id)
            return
        if isinstance(reply, ConnectionLostError):
            ticket.unsure = True
            self._standing.doubt_ms = entry_id.ms
        # A stream that has gone is made anew by a claim, which gives it its bounds.
        self._returned.add(ticket, reply if reply is not None else STREAM_GONE)
        if not self._sent and self._state is not _State.CLAIMING:
            self._take_back()

    def _on_claimed(self, reply: Any) -> None:
        ticket, self._claiming = self._claiming, None
        assert ticket is not None
        if ticket.timed_s:
            self._outgoing.answered(ticket, reply)
        self._state = _State.IDLE
        if isinstance(reply, ReplyError | ConnectionLostError):
            ticket.unsure = ticket.unsure or isinstance(reply, ConnectionLostError)
            self._returned.add(ticket, reply)
            self._take_back()
            return
        claim = parse_claim_reply(reply)
        self._limit_to(claim.limits)
        if claim.verdict == "appended" and claim.entry_id is not None:
            self._own(ticket, claim, claim.entry_id)
            self.pump()
            return
        self._backlog.put_back(ticket)
        paused = self._requeue()
        if len(claim.newer) > self._rules.window and any(ticket.unsure for ticket in self._backlog.queue):
            self._state = _State.SCANNING
            self._scan_task = asyncio.create_task(self._scan(claim.before))
            return
        self._standing.learn(claim.newer, claim.before, claim.first, self._late)
        if not paused:
            self.pump()

    def _own(self, ticket: Ticket, claim: ClaimReply, entry_id: EntryId) -> None:
        """The claim appended its message: from here on the next ids are this writer's to give."""
        self._state = _State.OWNING
        self._claimed_s = self._loop.time()
        self._next = entry_id
        self._standing.learn(claim.newer, claim.before, claim.first, self._late, written=ticket)
        self._standing.doubt_ms = None
        self._backlog.given_up.clear()
        self._landed(ticket, claim.before, entry_id)
        if claim.follows_foreign:
            self._wary_until_s = self._claimed_s + WARY_S
        if 0 < claim.ahead_s < WARY_S and self._claimed_s < self._wary_until_s:
            # A foreign entry could take the very next id. Claim again once ids of the past are to be had.
            self._state = _State.IDLE
            self._pause_for(claim.ahead_s)
        # The index is scored by the time, which an id may be ahead of.
        self._touch_index(entry_id.ms - round(claim.ahead_s * 1000))

    def _landed(self, ticket: Ticket, previous: EntryId, entry_id: EntryId) -> None:
        self._standing.landed(entry_id)
        self._returned.trouble = None
        if self._rules.health.reason is not None:
            self._rules.health.landed()
        self._rules.appended(self.stream, previous, entry_id, ticket)
        self._backlog.succeed(ticket, entry_id)

    async def _scan(self, until: EntryId) -> None:
        """Read all that stands behind the last known id: more was written than a claim looks at."""
        try:
            newer = await message_ids(self._link, self._key, self._standing.known, until)
            # Asked for last: what was trimmed meanwhile is below it.
            first = await first_entry_id(self._link, self._key)
        except (ApiError, ReplyError):
            newer, first = None, None
        self._state = _State.IDLE
        if newer is None:
            self._pause_for(PAUSE_S)
        else:
            self._standing.learn(newer, until, first, self._late)
            self.pump()

    def _take_back(self) -> None:
        """Go on after commands that failed: no plain XADD until a claim has told where the stream stands."""
        self._state = _State.IDLE
        if not self._requeue():
            self.pump()

    def _requeue(self) -> bool:
        """Return what was refused or lost to the head of the queue; True if it is for later and a timer runs."""
        if self._returned.requeue():
            self._pause_for(PAUSE_S)
            return True
        return False

    def _late(self, ticket: Ticket) -> ApiError:
        return self._returned.late(ticket, self._link.reason)

    def _pause_for(self, seconds: float) -> None:
        if self._pause is None:
            self._pause = self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self.pump()
