"""Polling: what Redis says of many streams, in two rounds of pipelined commands a slice.

The first round asks for the stream, its groups and its expiry; groups first, so that what is added in between makes a
lag larger, never negative. The second asks what the first one raises: consumers, pending entries, the first
undelivered entry, and a count where the lag needs one.

In between, entries may be read and removed, and would look as if they had been lost. So a stream from which entries
were removed while a group lagged is asked again, in one step.

XINFO STREAM answers with the first and the last entry, which are payload: they are dropped here, and because they may
be large, polls have a connection of their own, and slices are bounded in bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rlb.domain.entry_id import EntryId
from rlb.domain.lag import COUNT_CAP, NO_LAG, Lag, ToCount, lag_of
from rlb.domain.server_version import ServerVersion, parse_server_version
from rlb.domain.stream_facts import GroupFacts, StreamFacts, removed_between
from rlb.monitor.budget import Budget
from rlb.monitor.reading import Failed, Gone, GroupReading, Outcome, Reading
from rlb.monitor.state import GroupState, StreamState
from rlb.redis_io import xinfo
from rlb.redis_io.command import TIME, Arg, stream_questions
from rlb.redis_io.link import Link
from rlb.redis_io.replies import ConnectionLostError, ReplyError, api_error, is_no_key
from rlb.redis_io.scripts import COUNT_ENTRIES, READ_STREAM

DETAILS_EVERY = 4
"""Polls without news after which consumers and pending entries of a group are asked for that has nothing to read."""

MAX_GROUPS = 1000
"""Groups of one stream that are watched; more are left out, and counted as the error `too_many_groups`."""

MAX_GROUPS_AT_ONCE = 32
"""Groups of a stream up to which it is read in one step; of one with more, losses are not told."""

COUNT_BYTES = 4 * 1024 * 1024
"""Payload that one count may pass over; a stream of large entries is counted less far."""

PENDING_LOOK = 32
"""Pending entries of a group that are looked at, lowest ids first, for deliveries and idle times."""

COUNTED_AT_ONCE = 4000
"""Entries that are counted in one step for all groups of a stream, a few milliseconds of Redis's time."""

Command = tuple[Arg, ...]
Take = Callable[[Any], None]


class Poller:
    """Reads slices of streams over one link."""

    def __init__(self, link: Link) -> None:
        self.version: ServerVersion | None = None
        """The server's, from `identify`."""
        self._link = link
        self._may_run_scripts = True
        self._eval = b"EVAL"

    async def identify(self) -> None:
        """Ask which server it is; its numbers mean different things by version.

        Raises:
            ApiError: Redis did not answer.
        """
        reply = (await self._link.batch_raw([(b"INFO", b"server")]))[0]
        if isinstance(reply, ConnectionLostError):
            raise api_error(reply, "INFO")
        self._may_run_scripts = True
        # Where the user may not ask, the server is trusted in nothing.
        self.version = None
        if isinstance(reply, bytes):
            self.version = parse_server_version(reply.decode("utf-8", "replace"))
        # Its scripts only read, and EVAL_RO does not ask for leave to write their keys.
        has_eval_ro = self.version is not None and self.version.has_eval_ro
        self._eval = b"EVAL_RO" if has_eval_ro else b"EVAL"

    async def now_ms(self) -> int:
        """The time at Redis.

        Raises:
            ApiError: Redis did not answer.
        """
        reply = (await self._link.batch_raw([(b"TIME",)]))[0]
        if isinstance(reply, ReplyError | ConnectionLostError):
            raise api_error(reply, "TIME")
        return int(reply[0]) * 1000 + int(reply[1]) // 1000

    async def read(self, states: Sequence[StreamState], budget: Budget) -> list[Outcome]:
        """What Redis says of each stream now.

        Raises:
            ApiError: Redis did not answer.
        """
        first_round = b"".join([TIME, *[stream_questions(state.key) for state in states]])
        count = 1 + 3 * len(states)
        budget.commands += count
        replies = self._whole(await self._link.exchange(first_round, count))
        time = replies[0]
        if isinstance(time, ReplyError):
            budget.note_reply(time)
            raise api_error(time, "TIME")
        at_ms = int(time[0]) * 1000 + int(time[1]) // 1000
        outcomes: list[Outcome] = []
        questions: list[tuple[Command, Take]] = []
        for number, state in enumerate(states):
            outcome = self._first_round(state, replies[3 * number + 1 : 3 * number + 4], at_ms, budget)
            outcomes.append(outcome)
        await self._in_one_step(states, outcomes, at_ms, budget)
        sizes = [outcome.payload_bytes for outcome in outcomes if isinstance(outcome, Reading)]
        budget.guess_bytes = max(sizes, default=budget.guess_bytes)
        for state, outcome in zip(states, outcomes, strict=True):
            if isinstance(outcome, Reading):
                questions += self._further(state, outcome, budget)
        if questions:
            budget.commands += len(questions)
            answers = await self._ask([command for command, _ in questions])
            for (command, take), answer in zip(questions, answers, strict=True):
                if isinstance(answer, ReplyError):
                    self._note_refusal(command, answer, budget)
                else:
                    take(answer)
        return outcomes

    def _note_refusal(self, command: Command, error: ReplyError, budget: Budget) -> None:
        """A part of the answer that there is none of: it stays unknown. Most of these are groups that have gone."""
        if error.prefix == "NOGROUP" or is_no_key(error):
            return
        budget.note_reply(error)
        budget.is_partly_refused = True
        if error.is_denial and command[0] == self._eval:
            # Counted by XRANGE then, which costs the payload.
            self._may_run_scripts = False

    async def _in_one_step(
        self, states: Sequence[StreamState], outcomes: list[Outcome], at_ms: int, budget: Budget
    ) -> None:
        """Read those again of which parts from two moments could look like a loss."""
        if not self._may_run_scripts:
            return
        again = [
            (number, state, outcome)
            for number, (state, outcome) in enumerate(zip(states, outcomes, strict=True))
            if isinstance(outcome, Reading)
            and len(outcome.groups) <= MAX_GROUPS_AT_ONCE
            and may_have_lost(state, outcome)
        ]
        if not again:
            return
        budget.commands += len(again)
        caps = [_cap(reading) for _, _, reading in again]
        commands = [
            (self._eval, READ_STREAM.text, 1, state.key, cap, COUNTED_AT_ONCE)
            for (_, state, _), cap in zip(again, caps, strict=True)
        ]
        replies = await self._ask(commands)
        for (number, state, reading), cap, command, reply in zip(again, caps, commands, replies, strict=True):
            if isinstance(reply, ReplyError):
                self._note_refusal(command, reply, budget)
                continue
            groups, stream, counts = reply
            ttl_ms = reading.ttl_ms if reading.ttl_ms is not None else -1
            outcome = self._first_round(state, (groups, stream, ttl_ms), at_ms, budget)
            outcomes[number] = outcome
            if isinstance(outcome, Reading):
                outcome.is_of_one_moment = True
                for group, count in zip(outcome.groups, counts, strict=True):
                    if isinstance(group.lag, ToCount) and 0 <= count < cap:
                        group.lag = Lag(count, "exact")

    async def _ask(self, commands: Sequence[Command]) -> list[Any]:
        return self._whole(await self._link.batch_raw(commands))

    def _whole(self, replies: list[Any]) -> list[Any]:
        if isinstance(replies[-1], ConnectionLostError):
            raise api_error(replies[-1], "poll")
        return replies

    def _first_round(self, state: StreamState, replies: Sequence[Any], at_ms: int, budget: Budget) -> Outcome:
        for reply in replies:
            if isinstance(reply, ReplyError):
                if is_no_key(reply):
                    return Gone()
                budget.note_reply(reply)
                budget.failed += 1
                return Failed(reply.prefix)
        groups, stream, ttl_ms = replies
        expires_ms = ttl_ms if ttl_ms >= 0 else None
        signature = xinfo.signature(stream, groups)
        if state.facts is not None and signature == state.signature:
            same = [GroupReading(group.facts, group.lag, group.oldest_id) for group in state.groups]
            return Reading(
                at_ms, state.facts, expires_ms, same, state.payload_bytes, state.complete, signature, is_unchanged=True
            )
        ids = xinfo.Ids()
        facts, first, last = xinfo.stream_facts_and_ends(stream, ids)
        is_news = state.facts is None or facts.last_id != state.facts.last_id
        complete = xinfo.is_complete(last) if is_news else state.complete
        payload = max(xinfo.size_of(first), xinfo.size_of(last))
        state.meet(facts)
        if len(groups) > MAX_GROUPS:
            budget.note_error("too_many_groups")
        known = state.by_name()
        found = [
            self._group(state, known.get(group.name), facts, group)
            for group in xinfo.group_facts(groups[:MAX_GROUPS], ids)
        ]
        return Reading(at_ms, facts, expires_ms, found, payload, complete, signature)

    def _group(
        self, state: StreamState, before: GroupState | None, facts: StreamFacts, group: GroupFacts
    ) -> GroupReading:
        cursor = group.last_delivered_id
        trust = self.version.lag_trust if self.version is not None and not state.is_set_by_hand else "never"
        was_right = before.server_was_right if before is not None else None
        lag = lag_of(
            facts,
            group,
            None if state.is_set_by_hand else state.positions,
            trusts_server=(trust == "always" and was_right is not False)
            or (trust == "if_seen_right" and bool(was_right)),
        )
        oldest_id = None
        if facts.first_id is not None and cursor < facts.first_id:
            oldest_id = facts.first_id
        elif before is not None and before.facts.last_delivered_id == cursor and state.is_intact_above(cursor, facts):
            oldest_id = before.oldest_id
        return GroupReading(group, lag, oldest_id)

    def _further(self, state: StreamState, reading: Reading, budget: Budget) -> Iterator[tuple[Command, Take]]:
        """What the first round leaves open, and who takes the answer."""
        key = state.key
        is_time = not reading.is_unchanged or state.quiet % DETAILS_EVERY == 0
        for group in reading.groups:
            facts = group.facts
            group.has_details = is_time or group.lag != NO_LAG
            if not group.has_details:
                continue
            if facts.consumers:
                yield (b"XINFO", b"CONSUMERS", key, facts.name), group.take_consumers
            if facts.pending:
                yield (b"XPENDING", key, facts.name, b"-", b"+", PENDING_LOOK), group.take_pending
            lag = group.lag
            if isinstance(lag, ToCount):
                cap = _cap(reading)
                expected = min(cap, lag.most - lag.beyond)
                if expected <= budget.counted:
                    budget.counted -= expected
                    yield self._count(key, facts.last_delivered_id, lag.until, cap), group.count_taker(lag, cap)
                else:
                    group.lag = lag.uncounted()
                    reading.signature = None
            if group.oldest_id is None and group.lag != NO_LAG:
                yield (b"XRANGE", key, facts.last_delivered_id.after, b"+", b"COUNT", 1), group.take_oldest

    def _count(self, key: str, after: EntryId, until: EntryId, cap: int) -> Command:
        if self._may_run_scripts:
            return (self._eval, COUNT_ENTRIES.text, 1, key, after.after, until.wire, cap)
        return (b"XRANGE", key, after.after, until.wire, b"COUNT", cap)


def may_have_lost(state: StreamState, reading: Reading) -> bool:
    """Whether entries were removed since the last poll that some group may not have been handed."""
    before, now = state.facts, reading.facts
    if before is None or reading.is_unchanged or removed_between(before, now) == 0:
        return False
    return any(group.lag.entries != 0 for group in state.groups) or any(
        now.last_id is None or group.facts.last_delivered_id < now.last_id for group in reading.groups
    )


def _cap(reading: Reading) -> int:
    """How far a count may go on this stream."""
    return max(1, min(COUNT_CAP, COUNT_BYTES // max(1, reading.payload_bytes)))
