"""Entries as readers see them: the id, and the message as one line of JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from rlb.domain.entry_id import EntryId
from rlb.domain.message import complete_of
from rlb.domain.trace_context import parse_trace_context


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a stream. `data` is one line of JSON, or None where the entry holds no readable message."""

    id: EntryId
    data: bytes | None
    complete: bool
    is_numbered: bool
    """Whether the id's second half is the message's `metadata.sequence`, as rlb writes it: then ids show gaps."""
    traceparent: str | None = None
    """The trace context that the entry carries, if it is one; hexadecimal digits and dashes."""
    timestamp_ms: int | None = None
    """`metadata.timestamp`, by the clock of whoever wrote it; None where it is not there, or was not looked for."""

    @property
    def json(self) -> bytes:
        """The message, or JSON null."""
        return self.data if self.data is not None else b"null"


def entry_from_fields(entry_id: EntryId, fields: Mapping[bytes, bytes]) -> Entry:
    """Read an entry, whoever wrote it; what is not JSON is passed on as an entry without a message."""
    traceparent = fields.get(b"traceparent")
    trace = _trace_of(traceparent) if traceparent is not None else None
    data = fields.get(b"data")
    if data is None:
        return Entry(entry_id, None, False, False, trace)
    try:
        message: Any = from_json(data, allow_inf_nan=False)
    except ValueError:
        return Entry(entry_id, None, False, False, trace)
    # JSON allows line ends between its tokens only, so blanks may stand in for them; lines frame our messages.
    line = data.replace(b"\r", b" ").replace(b"\n", b" ") if b"\n" in data or b"\r" in data else data
    metadata = message.get("metadata") if isinstance(message, dict) else None
    if not isinstance(metadata, dict):
        return Entry(entry_id, line, False, False, trace)
    sequence, timestamp = metadata.get("sequence"), metadata.get("timestamp")
    return Entry(
        entry_id,
        line,
        complete_of(message),
        isinstance(sequence, int) and sequence == entry_id.seq > 0,
        trace,
        timestamp if isinstance(timestamp, int) else None,
    )


def _trace_of(traceparent: bytes) -> str | None:
    context = parse_trace_context(traceparent.decode("ascii", "replace"))
    return context.traceparent if context is not None else None


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries that are gone from before `before`; `missing` is None where their number cannot be known."""

    after: EntryId
    before: EntryId
    missing: int | None


def gap_between(after: EntryId, entry: Entry) -> Gap | None:
    """The gap between the last id that a reader has seen and the next entry that there is.

    Where rlb numbers the entries, the ids say exactly how many are missing. An id `<ms>-0` is another writer's
    (rlb counts from 1), and says nothing.
    """
    if not entry.is_numbered or (after.ms > 0 and after.seq == 0):
        return None
    missing = entry.id.seq - after.seq - 1
    return Gap(after, entry.id, missing) if missing > 0 else None
