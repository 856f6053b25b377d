"""Deliveries: entries that a group has handed to one of its consumers."""

from __future__ import annotations

from dataclasses import dataclass

from rlb.domain.entry import Entry
from rlb.domain.stream_key import StreamKey


@dataclass(frozen=True, slots=True)
class Delivery:
    """One entry, handed out for the `count`-th time; it stays pending until it is acknowledged."""

    stream: StreamKey
    entry: Entry
    count: int
    claimed: bool = False
    """Taken over from a consumer that did not acknowledge it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Who reads: one consumer of one group on one stream."""

    stream: StreamKey
    group: str
    consumer: str
