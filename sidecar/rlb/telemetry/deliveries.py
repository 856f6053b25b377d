"""Deliveries to apps that read in a group: how many, how old, and how long until they are acknowledged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from rlb.bridge.delivery import Delivery, Reading
from rlb.domain.entry import Entry
from rlb.domain.entry_id import EntryId
from rlb.telemetry.meters import MeterBook

MAX_UNACKED = 65_536
"""Deliveries whose time is remembered; past it the oldest is forgotten, and its acknowledgement is not timed."""

CLAIM_MS = 2000
"""The ids of an rlb stream carry the time of a claim, which entries may be younger than, by no more than this."""


def entry_at_ms(entry: Entry, skew_ms: float) -> float:
    """When an entry was written: Unix ms by the clock of Redis, which is `skew_ms` ahead of the one here.

    Its own timestamp says it best where its writer's clock is in step with ours; else its id has to do.
    """
    claimed_ms, told_ms = entry.id.ms, entry.timestamp_ms
    if told_ms is not None and claimed_ms <= told_ms + skew_ms <= claimed_ms + CLAIM_MS:
        return told_ms + skew_ms
    return claimed_ms


class Deliveries:
    """Counts and times deliveries. `skew_s` gives the clock of Redis minus the one here."""

    def __init__(self, book: MeterBook, skew_s: Callable[[], float]) -> None:
        self._book = book
        self._skew_s = skew_s
        self._unacked: dict[tuple[str, str, EntryId], float] = {}

    def delivered(self, reading: Reading, deliveries: Sequence[Delivery]) -> None:
        """Deliveries of one stream were handed to an app."""
        now_s, skew_ms = time.monotonic(), self._skew_s() * 1000
        redis_now_ms = time.time() * 1000 + skew_ms
        key, group = reading.stream.key, reading.group
        meters = self._book.group(group)
        pair = self._book.pair(reading.stream.model_id, group)
        unacked = self._unacked
        for delivery in deliveries:
            entry = delivery.entry
            if delivery.count > 1:
                meters.redelivered.value += 1
            (pair.claimed if delivery.claimed else pair.read).value += 1
            meters.ages.observe(max(0.0, redis_now_ms - entry_at_ms(entry, skew_ms)) / 1000)
            name = key, group, entry.id
            # Out of its old place: the order is that of the latest deliveries.
            unacked.pop(name, None)
            unacked[name] = now_s
        for name in list(unacked)[: max(0, len(unacked) - MAX_UNACKED)]:
            del unacked[name]

    def settled(self, key: str, group: str, ids: Iterable[EntryId], acknowledged: int) -> None:
        """Deliveries of one stream were acknowledged."""
        now_s = time.monotonic()
        meters = self._book.group(group)
        meters.acked.value += acknowledged
        for entry_id in ids:
            delivered_s = self._unacked.pop((key, group, entry_id), None)
            if delivered_s is not None:
                meters.ack_durations.observe(now_s - delivered_s)

    def set_aside(self, group: str) -> None:
        """An entry has become a dead letter."""
        self._book.group(group).dead_lettered.value += 1
