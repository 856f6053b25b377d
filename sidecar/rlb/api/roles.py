"""What connections are for, told by what was last asked on them: apps keep one for writing and one for reading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

PRODUCER_PATHS = frozenset({"/v1/tokens", "/v1/streams/complete", "/v1/messages"})
CONSUMER_PATHS = frozenset({"/v1/messages/read", "/v1/messages/ack", "/v1/messages/nack", "/v1/tail", "/v1/subscribe"})


class Asked(Protocol):
    """A connection."""

    @property
    def last_path(self) -> str | None: ...


def count_roles(connections: Iterable[Asked]) -> dict[str, int]:
    """How many connections write, how many read, and how many do anything else."""
    counts = {"producer": 0, "consumer": 0, "admin": 0}
    for connection in connections:
        path = connection.last_path
        counts["producer" if path in PRODUCER_PATHS else "consumer" if path in CONSUMER_PATHS else "admin"] += 1
    return counts
