"""What is kept of a watched stream from poll to poll: as little as rates, losses and a status need.

There may be 100,000 of these, so a stream at rest holds no history, and values that are equal are one object.
"""

from __future__ import annotations

from sys import intern

from rlb.domain.consumers import consumer_state
from rlb.domain.entry_id import EntryId
from rlb.domain.lag import Lag
from rlb.domain.losses import Footing
from rlb.domain.positions import Positions
from rlb.domain.rates import RateWindow
from rlb.domain.retention import UNKNOWN, Headroom, RetentionWatch
from rlb.domain.status import StatusTracker
from rlb.domain.stream_facts import (
    NOTHING_PENDING,
    ConsumerFacts,
    GroupFacts,
    StreamFacts,
    is_another_stream,
    removed_between,
    was_set_by_hand,
)
from rlb.domain.stream_info import ConsumerState, GroupStatus
from rlb.monitor.reading import FOREIGN, GroupReading, StreamBounds
from rlb.monitor.rules import Rules

_CONSUMER_STATES: dict[tuple[ConsumerState, ...], tuple[ConsumerState, ...]] = {}


class GroupState:
    """One group on one stream. Times in ms of Redis time."""

    __slots__ = (
        "consumer_states",
        "consumers",
        "facts",
        "footing",
        "headroom",
        "is_seen_twice",
        "lag",
        "longest_idle_ms",
        "lost",
        "lost_since_mark",
        "name",
        "oldest_id",
        "oldest_pending_id",
        "poison",
        "read",
        "read_mark",
        "reads",
        "reason",
        "server_was_right",
        "status",
        "tracker",
    )

    def __init__(self, name: str, facts: GroupFacts, lag: Lag) -> None:
        self.name = intern(name)
        self.facts = facts
        self.lag = lag
        self.oldest_id: EntryId | None = None
        self.oldest_pending_id: EntryId | None = None
        self.longest_idle_ms: int | None = None
        self.poison = 0
        self.consumers: tuple[ConsumerFacts, ...] = ()
        self.consumer_states: tuple[ConsumerState, ...] = ()
        """What each of the consumers was up to when they were last asked for."""
        self.footing: Footing | None = None
        """Where the group stood, unless that follows from the facts: see `losses.footing_at_end`."""
        self.lost: int | None = None
        """Entries lost unread, None where the server does not count entries."""
        self.server_was_right: bool | None = None
        """Whether the server's lag was right when it was last compared with one that was certain."""
        self.is_seen_twice = False
        self.lost_since_mark = 0
        self.read = 0
        """Entries that the group was handed since it is watched."""
        self.read_mark: tuple[int, int] | None = None
        """Entries added and undelivered when both were last known, unless they are known now."""
        self.reads: RateWindow | None = None
        """The rate of `read`; None while it does not move."""
        self.tracker: StatusTracker | None = None
        self.status: GroupStatus = "unknown"
        self.reason: str | None = None
        self.headroom: Headroom = UNKNOWN

    @property
    def read_rate(self) -> float | None:
        """Entries a second that the group is handed; None before it is known."""
        if self.reads is not None:
            return self.reads.per_second()
        is_counted = self.lost is not None and (self.lag.believed is not None or self.read_mark is not None)
        return 0.0 if self.is_seen_twice and is_counted else None

    def take_details(self, reading: GroupReading, rules: Rules) -> None:
        """Take what a reading says of consumers and pending entries."""
        self.consumers = reading.consumers
        states = tuple(consumer_state(each, active_s=rules.window_s, dead_s=rules.dead_s) for each in reading.consumers)
        # One object for the many groups whose consumers are up to the same.
        self.consumer_states = _CONSUMER_STATES.setdefault(states, states) if len(states) <= 2 else states
        look = reading.pending if reading.facts.pending else NOTHING_PENDING
        self.oldest_pending_id, self.longest_idle_ms = look.oldest_id, look.longest_idle_ms
        self.poison = sum(deliveries >= rules.max_deliveries for deliveries in look.deliveries)

    def forget_consumer(self, name: str) -> None:
        """A consumer was removed, or is at work again, since the group was looked at: what is known of it is old."""
        kept = [number for number, each in enumerate(self.consumers) if each.name != name]
        self.consumers = tuple(self.consumers[number] for number in kept)
        self.consumer_states = tuple(self.consumer_states[number] for number in kept)

    def advance(self, before: StreamFacts | None, added: int, lag: Lag, cursor: EntryId, lost: int) -> int:
        """How many entries the group was handed since they were last counted: `added - undelivered` tells.

        `entries-read` does not: it is NULL, reset or wrong on many servers. `before` are the stream's facts of the
        last poll, None if the group was not there.
        """
        is_first = before is None
        self.is_seen_twice = not is_first
        mark, self.read_mark = self.read_mark, None
        if mark is None and before is not None and before.entries_added is not None and self.lag.believed is not None:
            mark = (before.entries_added, self.lag.believed)
        if lag.entries is None or lag.quality == "bounded":
            self.read_mark = mark
            self.lost_since_mark += lost
            return 0
        lost, self.lost_since_mark = lost + self.lost_since_mark, 0
        if mark is None:
            read = added - lag.entries - lost if is_first else 0
        elif cursor < self.facts.last_delivered_id:
            # Set back: what comes again is counted from here.
            read = 0
        else:
            read = (added - mark[0]) - (lag.entries - mark[1]) - lost
        read = max(0, read)
        self.read += read if not is_first else 0
        return read


class StreamState:
    """One watched stream. `facts` is None until its first poll."""

    __slots__ = (
        "at_ms",
        "bounds",
        "bounds_at_ms",
        "complete",
        "due_s",
        "error",
        "facts",
        "groups",
        "is_seen_twice",
        "is_set_by_hand",
        "key",
        "measured",
        "model",
        "payload_bytes",
        "positions",
        "quiet",
        "retention",
        "signature",
        "ttl_ms",
        "writes",
    )

    def __init__(self, key: str, model: str) -> None:
        self.key = key
        self.model = intern(model)
        self.at_ms = 0
        self.due_s = 0.0
        """Loop time of the next poll."""
        self.quiet = 0
        """Polls in a row that found nothing new."""
        self.facts: StreamFacts | None = None
        self.groups: tuple[GroupState, ...] = ()
        self.positions: Positions | None = None
        """Where earlier polls saw the stream; None if that is only where it stands now."""
        self.writes: RateWindow | None = None
        self.bounds: StreamBounds = FOREIGN
        self.bounds_at_ms = 0
        """When the bounds were looked up."""
        self.is_seen_twice = False
        self.retention: RetentionWatch | None = None
        """What is seen of its bounds; None while no group has anything to lose."""
        self.ttl_ms: int | None = None
        self.measured: tuple[int, int] | None = None
        """Its memory in bytes when that was last asked for, and its length then."""
        self.complete: bool | None = None
        self.payload_bytes = 0
        self.signature: int | None = None
        """What the last reading came to."""
        self.is_set_by_hand = False
        self.error: str | None = None
        """Why the last poll failed, by the error's prefix: what is kept is not to be shown any more."""

    @property
    def bytes(self) -> int | None:
        """Its memory, taken to have grown as its length since that was measured; None before."""
        if self.measured is None:
            return None
        size, length = self.measured
        now = self.facts.length if self.facts is not None else length
        return round(size * now / length) if length and now else size

    @property
    def write_rate(self) -> float | None:
        """Entries a second that are added; None before it is known."""
        if self.writes is not None:
            return self.writes.per_second()
        has_counter = self.facts is not None and self.facts.entries_added is not None and not self.is_set_by_hand
        return 0.0 if self.is_seen_twice and has_counter else None

    @property
    def has_backlog(self) -> bool:
        """Whether some group has entries to read or to acknowledge."""
        return any(group.lag.entries != 0 or group.facts.pending for group in self.groups)

    def by_name(self) -> dict[str, GroupState]:
        """The groups by their names."""
        return {group.name: group for group in self.groups}

    def meet(self, facts: StreamFacts) -> None:
        """Take note of where the stream stands, before anything else is concluded from it."""
        before = self.facts
        if before is not None and is_another_stream(before, facts):
            self.forget()
            before = None
        if not self.is_set_by_hand and was_set_by_hand(before, facts):
            self.is_set_by_hand = True
        if self.is_set_by_hand or facts.entries_added is None:
            self.positions = None
            return
        if self.positions is None:
            self.positions = Positions()
            if before is not None and before.entries_added is not None:
                self.positions.note(before.last_generated_id, before.entries_added)
        self.positions.note(facts.last_generated_id, facts.entries_added)

    def settle(self) -> None:
        """Give up what the facts tell as well, until something changes again."""
        if self.positions is not None:
            self.positions.forget_below(group.facts.last_delivered_id for group in self.groups)
            if len(self.positions) == 1:
                self.positions = None
        facts = self.facts
        if facts is not None and not self.is_set_by_hand:
            for group in self.groups:
                if group.facts.last_delivered_id == facts.last_generated_id:
                    group.footing = None

    def is_intact_above(self, cursor: EntryId, facts: StreamFacts) -> bool:
        """Whether nothing beyond a group's cursor was removed since the last poll."""
        before = self.facts
        if before is None or facts.first_id is None or facts.max_deleted_id is None:
            return False
        return facts.first_id <= cursor and removed_between(before, facts) == 0

    def forget(self) -> None:
        """Another stream has taken the key: nothing of this one holds for it."""
        self.facts = None
        self.groups = ()
        self.positions = None
        self.writes = None
        self.retention = None
        self.signature = None
        self.is_seen_twice = False
        self.bounds_at_ms = 0
        self.is_set_by_hand = False
        self.measured = None
