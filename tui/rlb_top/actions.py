"""What can be done to a stream, and what is looked up of it on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

MAX_PENDING = 500
"""Pending entries that are looked up at once."""


class ActionFailedError(Exception):
    """The action was refused, or nobody knows whether it was carried out; the message says which, and why."""


@dataclass(frozen=True, slots=True)
class StreamName:
    """A stream: its key, and the session and the model that it stands for, where it follows the template."""

    key: str
    session_id: str | None
    model_id: str | None


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """An entry that was delivered and not acknowledged."""

    entry_id: str
    consumer: str
    idle_seconds: float
    deliveries: int


class Details(Protocol):
    """Looked up when a screen shows it. Each call raises ActionFailedError."""

    async def pending(
        self, stream: StreamName, group: str, consumer: str | None = None, limit: int = MAX_PENDING
    ) -> Sequence[PendingEntry]:
        """The oldest pending entries of a group, or of one of its consumers."""
        ...


class Actions(Protocol):
    """Changes, each asked for and confirmed by a person. Each raises ActionFailedError."""

    async def acknowledge(self, stream: StreamName, group: str, entry_ids: Sequence[str]) -> int:
        """Settle pending entries; gives how many were pending."""
        ...

    async def claim(self, stream: StreamName, group: str, consumer: str, entry_ids: Sequence[str]) -> int:
        """Hand pending entries to this consumer; gives how many it got."""
        ...

    async def bury(self, stream: StreamName, group: str, entry_ids: Sequence[str], reason: str) -> int:
        """Set pending entries aside as dead letters; gives how many."""
        ...

    async def replay(self, group: str, ids: Sequence[str]) -> int:
        """Have dead letters, by their own ids, delivered again; gives how many of them still could be."""
        ...

    async def trim(self, stream: StreamName, *, max_length: int) -> int:
        """Remove the oldest entries but so many; gives how many were removed."""
        ...

    async def remove_consumer(self, stream: StreamName, group: str, consumer: str) -> bool:
        """Remove a consumer that has nothing pending; False if there was none."""
        ...
