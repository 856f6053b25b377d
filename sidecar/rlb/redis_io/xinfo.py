"""Reading XINFO, XPENDING and entry replies; by field name, as their order and number change with the version."""

from __future__ import annotations

from typing import Any

from rlb.domain.entry import Entry, entry_from_fields
from rlb.domain.entry_id import EntryId, parse_entry_id
from rlb.domain.stream_facts import ConsumerFacts, GroupFacts, PendingEntry, StreamFacts

Flat = list[Any]


def fields_of(flat: Flat) -> dict[bytes, Any]:
    """A flat reply of names and values, by name."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _name(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def stream_facts(reply: Flat) -> StreamFacts:
    """Read an XINFO STREAM reply; the payload in it is dropped here."""
    fields = fields_of(reply)
    deleted = fields.get(b"max-deleted-entry-id")
    return StreamFacts(
        length=fields[b"length"],
        last_generated_id=parse_entry_id(fields[b"last-generated-id"]),
        first_id=_entry_id(fields.get(b"first-entry")),
        last_id=_entry_id(fields.get(b"last-entry")),
        entries_added=fields.get(b"entries-added"),
        max_deleted_id=parse_entry_id(deleted) if deleted is not None else None,
    )


def payload_bytes(reply: Flat) -> int:
    """The size of the larger of the first and the last entry of an XINFO STREAM reply, in bytes of their values."""
    fields = fields_of(reply)
    return max(_size(fields.get(b"first-entry")), _size(fields.get(b"last-entry")))


def _size(entry: Flat | None) -> int:
    return sum(map(len, entry[1])) if entry and entry[1] else 0


def is_last_complete(reply: Flat) -> bool | None:
    """Whether the last entry of an XINFO STREAM reply ends a generation; None without one."""
    last = fields_of(reply).get(b"last-entry")
    return entry_from_fields(parse_entry_id(last[0]), fields_of(last[1])).complete if last else None


def _entry_id(entry: Flat | None) -> EntryId | None:
    return parse_entry_id(entry[0]) if entry else None


def group_facts(reply: list[Flat]) -> list[GroupFacts]:
    """Read an XINFO GROUPS reply."""
    return [
        GroupFacts(
            name=_name(fields[b"name"]),
            consumers=fields[b"consumers"],
            pending=fields[b"pending"],
            last_delivered_id=parse_entry_id(fields[b"last-delivered-id"]),
            entries_read=fields.get(b"entries-read"),
            server_lag=fields.get(b"lag"),
        )
        for fields in map(fields_of, reply)
    ]


def consumer_facts(reply: list[Flat]) -> list[ConsumerFacts]:
    """Read an XINFO CONSUMERS reply."""
    consumers = []
    for fields in map(fields_of, reply):
        inactive = fields.get(b"inactive")
        consumers.append(
            ConsumerFacts(
                name=_name(fields[b"name"]),
                pending=fields[b"pending"],
                idle_ms=fields[b"idle"],
                # -1 stands for "has never succeeded".
                inactive_ms=inactive if inactive is not None and inactive >= 0 else None,
                never_read=inactive is not None and inactive < 0,
            )
        )
    return consumers


def pending_entries(reply: list[Flat]) -> list[PendingEntry]:
    """Read the extended form of an XPENDING reply."""
    return [
        PendingEntry(parse_entry_id(entry_id), _name(consumer), idle_ms, deliveries)
        for entry_id, consumer, idle_ms, deliveries in reply
    ]


def entries(reply: list[Flat] | None) -> list[Entry]:
    """Read the entries of an XRANGE, XREADGROUP or XCLAIM reply; deleted ones (no fields) are left out."""
    return [entry_from_fields(parse_entry_id(row[0]), fields_of(row[1])) for row in reply or () if row and row[1]]


def deleted_ids(reply: list[Flat] | None) -> list[EntryId]:
    """The ids in an entry reply whose entry is gone: still pending, nothing to deliver."""
    return [parse_entry_id(row[0]) for row in reply or () if row and not row[1]]


def streams(reply: list[Flat] | None) -> list[tuple[str, list[Entry]]]:
    """Read an XREAD or XREADGROUP reply: entries by key; None (nothing in time) is no streams."""
    return [(_name(key), entries(rows)) for key, rows in reply or ()]


def last_id(reply: list[Flat]) -> EntryId:
    """The id of the last row of an entry reply, deleted or not."""
    return parse_entry_id(reply[-1][0])


def first_id(reply: list[Flat]) -> EntryId | None:
    """The id of the first row of an entry reply."""
    return parse_entry_id(reply[0][0]) if reply else None


def oldest_pending(reply: Flat) -> EntryId | None:
    """The lowest pending id in the summary form of an XPENDING reply."""
    return parse_entry_id(reply[1]) if reply and reply[1] else None
