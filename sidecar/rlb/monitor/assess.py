"""What follows from a reading: the state of a stream is brought up to date, and what was counted is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from rlb.domain.consumers import is_calling
from rlb.domain.entry_id import EntryId
from rlb.domain.lag import NO_LAG, Lag
from rlb.domain.losses import footing_at_end, footing_of, lost_before, lost_between
from rlb.domain.positions import Positions
from rlb.domain.rates import RateWindow
from rlb.domain.retention import SAFE, UNKNOWN, Backlog, Headroom, RetentionWatch, estimated_lag, headroom
from rlb.domain.status import GroupSample, StatusTracker
from rlb.domain.stream_facts import GroupFacts, StreamFacts, removed_between
from rlb.monitor.reading import GroupReading, Reading
from rlb.monitor.report import age_s
from rlb.monitor.rules import Rules
from rlb.monitor.state import GroupState, StreamState


@dataclass(slots=True)
class Counted:
    """What one poll of one stream adds to the totals."""

    entries_added: int = 0
    trimmed: int = 0
    groups: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Entries read and lost, by group."""
    gone: dict[str, int] = field(default_factory=dict)
    """Entries that were undelivered when the stream was last seen, by group; set when it has gone."""
    is_changed: bool = False
    """Whether anything moved since the last poll: then the stream is worth polling soon again."""


def assess(
    state: StreamState, reading: Reading, rules: Rules, *, since_ms: int, recomputes_entries_read: bool
) -> Counted:
    """Take a reading into the state. `since_ms` is when the monitor began: what is older than it is not counted."""
    if reading.is_unchanged:
        return _assess_at_rest(state, reading, rules)
    counted = Counted()
    facts, before, before_ms = reading.facts, state.facts, state.at_ms
    added = facts.entries_added if not state.is_set_by_hand else None
    if before is None:
        counted.is_changed = True
        is_new = facts.first_id is not None and facts.first_id.ms >= since_ms
        if is_new:
            # What was trimmed of it may have been written before; what is there was not.
            counted.entries_added = facts.length
            if added == facts.length:
                counted.entries_added = added
    else:
        is_new = False
        counted.is_changed = facts != before
        if added is not None and before.entries_added is not None:
            counted.entries_added = max(0, added - before.entries_added)
            counted.trimmed = removed_between(before, facts)
            state.writes = _advanced(state.writes, rules, before_ms, before.entries_added, reading.at_ms, added)
    state.facts, state.at_ms, state.error = facts, reading.at_ms, None
    state.ttl_ms, state.payload_bytes, state.complete = reading.ttl_ms, reading.payload_bytes, reading.complete
    state.signature, state.is_seen_twice = reading.signature, before is not None
    _watch_retention(state, reading, rules)
    known, groups = state.by_name(), []
    for group_reading in reading.groups:
        group = known.get(group_reading.facts.name)
        is_first = group is None
        if group is None:
            group = GroupState(group_reading.facts.name, group_reading.facts, group_reading.known_lag)
            counted.is_changed = True
        elif group.facts != group_reading.facts:
            counted.is_changed = True
        read, lost = _assess_group(
            state,
            group,
            group_reading,
            rules,
            None if is_first else before,
            before_ms,
            recomputes=recomputes_entries_read,
            # What was put together from two moments may show a loss that is none.
            most_lost=counted.trimmed if reading.is_of_one_moment else 0,
        )
        if not is_first or is_new:
            counted.groups[group.name] = (read, lost)
        groups.append(group)
    state.groups = tuple(groups)
    state.settle()
    return counted


def _assess_at_rest(state: StreamState, reading: Reading, rules: Rules) -> Counted:
    """Nothing was written, read or removed: only times go on."""
    before_ms, facts = state.at_ms, reading.facts
    state.at_ms, state.ttl_ms, state.error, state.is_seen_twice = reading.at_ms, reading.ttl_ms, None, True
    if state.writes is not None and facts.entries_added is not None:
        state.writes = _advanced(state.writes, rules, before_ms, facts.entries_added, state.at_ms, facts.entries_added)
    if state.retention is not None:
        _watch_retention(state, reading, rules)
    for group, group_reading in zip(state.groups, reading.groups, strict=True):
        group.is_seen_twice = True
        if group.reads is not None:
            group.reads = _advanced(group.reads, rules, before_ms, group.read, state.at_ms, group.read)
        if group_reading.has_details:
            group.take_details(group_reading, rules)
        if group.tracker is not None:
            _judge(state, group, rules, 0, group.facts, before_ms)
    return Counted()


def _assess_group(
    state: StreamState,
    group: GroupState,
    reading: GroupReading,
    rules: Rules,
    stream_before: StreamFacts | None,
    before_ms: int,
    *,
    recomputes: bool,
    most_lost: int,
) -> tuple[int, int]:
    facts, lag = reading.facts, reading.known_lag
    stream = state.facts
    assert stream is not None
    if lag.exact is not None and facts.server_lag is not None:
        group.server_was_right = facts.server_lag == lag.exact
    lost = read = 0
    is_first = stream_before is None
    before = group.footing
    if before is None and stream_before is not None and not state.is_set_by_hand:
        before = footing_at_end(stream_before, group.facts)
    footing = None
    if not state.is_set_by_hand:
        footing = footing_of(stream, facts, lag, state.positions or Positions(), before)
    if footing is not None:
        if before is not None:
            lost = min(most_lost, lost_between(before, footing, recomputes=recomputes))
        elif is_first and not state.is_seen_twice:
            lost = lost_before(footing)
        group.lost = (group.lost or 0) + lost
        read = group.advance(stream_before, footing.added, lag, facts.last_delivered_id, lost)
    group.footing = footing
    if not is_first and (read or group.reads is not None):
        group.reads = _advanced(group.reads, rules, before_ms, group.read - read, state.at_ms, group.read)
    facts_before = None if is_first else group.facts
    group.facts, group.lag, group.oldest_id = facts, lag, reading.oldest_id if lag.entries != 0 else None
    group.take_details(reading, rules)
    _judge(state, group, rules, lost, facts_before, before_ms)
    return read, lost


def _judge(
    state: StreamState, group: GroupState, rules: Rules, lost: int, before: GroupFacts | None, before_ms: int
) -> None:
    facts, lag, now_ms = group.facts, group.lag, state.at_ms
    stream = state.facts
    assert stream is not None
    oldest_age_s = age_s(group.oldest_id, now_ms) if lag.entries else None
    group.headroom = SAFE if lag.entries == 0 else _headroom(state, group, oldest_age_s)
    is_at_rest = lag.entries == 0 and not lost and group.status == "ok" and group.reads is None
    if group.tracker is None:
        if lag.entries == 0 and not lost and (before is None or before.last_delivered_id <= facts.last_delivered_id):
            group.status, group.reason = "ok", None
            return
        group.tracker = StatusTracker(rules.status)
        if before is not None:
            # It had nothing to read until the last poll.
            group.tracker.judge(_sample(state, group, rules, before_ms, before.last_delivered_id, NO_LAG, SAFE, 0))
    elif is_at_rest:
        group.tracker = None
        return
    cursor, left = facts.last_delivered_id, group.headroom
    group.status, group.reason = group.tracker.judge(_sample(state, group, rules, now_ms, cursor, lag, left, lost))


def _sample(
    state: StreamState,
    group: GroupState,
    rules: Rules,
    at_ms: int,
    cursor: EntryId,
    lag: Lag,
    left: Headroom,
    lost: int,
) -> GroupSample:
    return GroupSample(
        at_s=at_ms / 1000,
        lag=lag,
        lag_s=0.0 if lag.entries == 0 else age_s(group.oldest_id, at_ms),
        last_delivered_id=cursor,
        calling=sum(is_calling(each, within_s=rules.window_s) for each in group.consumers),
        consumers=len(group.consumers),
        headroom=left,
        lost=lost,
        write_rate=state.write_rate,
        read_rate=group.read_rate,
    )


def _watch_retention(state: StreamState, reading: Reading, rules: Rules) -> None:
    """What is seen of the stream's bounds; only where some group has something to lose."""
    has_backlog = any(group.known_lag.entries != 0 for group in reading.groups)
    if not has_backlog:
        state.retention = None
        return
    if state.retention is None:
        state.retention = RetentionWatch(rules.window_s)
    facts, at_ms = reading.facts, reading.at_ms
    ttl_s = reading.ttl_ms / 1000 if reading.ttl_ms is not None else None
    state.retention.add(at_ms / 1000, facts.length, facts.first_id, age_s(facts.first_id, at_ms), ttl_s)


def _headroom(state: StreamState, group: GroupState, oldest_age_s: float | None) -> Headroom:
    facts, watch = state.facts, state.retention
    if facts is None or watch is None:
        return UNKNOWN
    write_rate = state.write_rate
    retention = watch.retention(
        max_length=state.bounds.max_length,
        retention_s=state.bounds.retention_ms / 1000 if state.bounds.retention_ms else None,
        ttl_s=state.ttl_ms / 1000 if state.ttl_ms is not None else None,
        is_written=bool(write_rate),
    )
    lag = estimated_lag(group.lag, facts.length, oldest_age_s, age_s(facts.first_id, state.at_ms))
    return headroom(retention, Backlog(lag, oldest_age_s, write_rate, group.read_rate))


def _advanced(
    window: RateWindow | None, rules: Rules, before_ms: int, before: int, now_ms: int, now: int
) -> RateWindow | None:
    """The window with one more reading; a counter that has never moved needs none, and one at rest gives it up."""
    if window is None:
        if now == before:
            return None
        window = RateWindow(rules.window_s)
        window.add(before_ms / 1000, before)
    window.add(now_ms / 1000, now)
    return window if window.per_second() != 0 else None
