"""States as they are told: StreamInfo and its parts."""

from __future__ import annotations

from rlb.domain.entry_id import EntryId
from rlb.domain.stream_info import ConsumerInfo, GroupInfo, GroupStatus, StreamInfo
from rlb.domain.stream_key import parse_stream_key
from rlb.monitor.state import GroupState, StreamState

SEVERITY: dict[GroupStatus, int] = {
    "losing": 6,
    "stopped": 5,
    "stalled": 4,
    "rewound": 3,
    "lagging": 2,
    "unknown": 1,
    "ok": 0,
}
"""How bad a status is: the order in which streams are told."""


LONGEST_AGE_MS = 10 * 365 * 86_400_000
"""Ids that are further off than ten years are no times: whoever writes may choose them, as in 1-0, 2-0, 3-0."""


def severity(state: StreamState, now_ms: int) -> tuple[int, int, int, int]:
    """How bad a stream is, by its worst group: its status, then the age of what waits, how much waits, its length."""
    worst = (0, 0, 0)
    for group in state.groups:
        oldest = group.oldest_id
        age_ms = round(1000 * (age_s(oldest, now_ms) or 0)) if group.lag.entries else 0
        worst = max(worst, (SEVERITY[group.status], age_ms, group.lag.entries or 0))
    return (*worst, state.facts.length if state.facts is not None else 0)


def stream_info(state: StreamState, prefix: str, now_ms: int) -> StreamInfo:
    """One stream as the API tells it; ages are as of now, the rest as of its last poll."""
    facts = state.facts
    assert facts is not None
    stream = parse_stream_key(prefix, state.key)
    added = facts.entries_added if not state.is_set_by_hand else None
    return StreamInfo(
        session_id=stream.session_id if stream is not None else None,
        model_id=stream.model_id if stream is not None else None,
        key=state.key,
        length=facts.length,
        entries_added=added,
        entries_trimmed=added - facts.length if added is not None else None,
        first_entry_id=_text(facts.first_id),
        last_entry_id=_text(facts.last_id),
        last_generated_id=str(facts.last_generated_id),
        age_seconds=age_s(facts.first_id, now_ms),
        write_rate=state.write_rate,
        bytes=state.bytes,
        ttl_seconds=max(0, state.ttl_ms - (now_ms - state.at_ms)) / 1000 if state.ttl_ms is not None else None,
        max_length=state.bounds.max_length,
        retention_ms=state.bounds.retention_ms,
        complete=state.complete,
        groups=tuple(_group_info(group, now_ms) for group in state.groups),
    )


def _group_info(group: GroupState, now_ms: int) -> GroupInfo:
    lag = group.lag
    return GroupInfo(
        group=group.name,
        lag=lag.entries,
        lag_quality=lag.quality,
        lag_upper_bound=lag.upper_bound,
        lag_seconds=0.0 if lag.entries == 0 else age_s(group.oldest_id, now_ms),
        pending=group.facts.pending,
        oldest_pending_seconds=age_s(group.oldest_pending_id, now_ms),
        longest_idle_seconds=group.longest_idle_ms / 1000 if group.longest_idle_ms is not None else None,
        poison=group.poison,
        read_rate=group.read_rate,
        lost_unread=group.lost,
        headroom_seconds=group.headroom.seconds,
        headroom_state=group.headroom.state,
        status=group.status,
        reason=group.reason,
        last_delivered_id=str(group.facts.last_delivered_id),
        consumers=tuple(
            ConsumerInfo(
                consumer=each.name,
                pending=each.pending,
                idle_seconds=each.idle_ms / 1000,
                inactive_seconds=each.inactive_ms / 1000 if each.inactive_ms is not None else None,
                state=consumer,
            )
            for each, consumer in zip(group.consumers, group.consumer_states, strict=True)
        ),
    )


def age_s(entry_id: EntryId | None, now_ms: int) -> float | None:
    """The age of an entry in seconds, by its id; None without one, or if its id is no time."""
    if entry_id is None or abs(now_ms - entry_id.ms) > LONGEST_AGE_MS:
        return None
    return max(0, now_ms - entry_id.ms) / 1000


def _text(entry_id: EntryId | None) -> str | None:
    return str(entry_id) if entry_id is not None else None
