"""Reading XINFO, XPENDING and entry replies; by field name, as their order and number change with the version."""

from __future__ import annotations

from sys import intern
from typing import Any

from rlb.domain.entry import Entry, entry_from_fields
from rlb.domain.entry_id import ZERO, EntryId, parse_entry_id
from rlb.domain.stream_facts import NOTHING_PENDING, ConsumerFacts, GroupFacts, PendingEntry, PendingLook, StreamFacts

Flat = list[Any]


def fields_of(flat: Flat) -> dict[bytes, Any]:
    """A flat reply of names and values, by name."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _name(raw: bytes) -> str:
    # Names that are no text stay apart from each other.
    return intern(raw.decode("utf-8", "backslashreplace"))


class Ids:
    """Reads ids that Redis wrote, so without a check; equal ones of one stream become one object."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[bytes, EntryId] = {b"0-0": ZERO}

    def read(self, raw: bytes) -> EntryId:
        """The id."""
        found = self._seen.get(raw)
        if found is None:
            ms, _, seq = raw.partition(b"-")
            found = self._seen[raw] = EntryId(int(ms), int(seq))
        return found


def stream_facts(reply: Flat, ids: Ids | None = None) -> StreamFacts:
    """Read an XINFO STREAM reply; the payload in it is dropped here."""
    return stream_facts_and_ends(reply, ids or Ids())[0]


def stream_facts_and_ends(reply: Flat, ids: Ids) -> tuple[StreamFacts, Flat | None, Flat | None]:
    """Read an XINFO STREAM reply; gives its first and last entry too, which are payload: do not keep them."""
    fields = fields_of(reply)
    deleted, first, last = fields.get(b"max-deleted-entry-id"), fields[b"first-entry"], fields[b"last-entry"]
    read = ids.read
    facts = StreamFacts(
        fields[b"length"],
        read(fields[b"last-generated-id"]),
        read(first[0]) if first else None,
        read(last[0]) if last else None,
        fields.get(b"entries-added"),
        read(deleted) if deleted is not None else None,
    )
    return facts, first, last


def size_of(entry: Flat | None) -> int:
    """The size of an entry's fields, in bytes."""
    return sum(map(len, entry[1])) if entry and entry[1] else 0


def is_complete(entry: Flat | None) -> bool | None:
    """Whether an entry ends a generation; None without one."""
    return entry_from_fields(parse_entry_id(entry[0]), fields_of(entry[1])).complete if entry else None


def group_facts(reply: list[Flat], ids: Ids | None = None) -> list[GroupFacts]:
    """Read an XINFO GROUPS reply."""
    read = (ids or Ids()).read
    return [
        GroupFacts(
            _name(fields[b"name"]),
            fields[b"consumers"],
            fields[b"pending"],
            read(fields[b"last-delivered-id"]),
            fields.get(b"entries-read"),
            fields.get(b"lag"),
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


def pending_look(reply: list[Flat]) -> PendingLook:
    """Read the extended form of an XPENDING reply that began at the lowest id."""
    if not reply:
        return NOTHING_PENDING
    _, _, idle_ms, deliveries = zip(*reply, strict=True)
    return PendingLook(parse_entry_id(reply[0][0]), max(idle_ms), deliveries)


def signature(stream: Flat, groups: list[Flat]) -> int:
    """What XINFO STREAM and XINFO GROUPS say, in a number: the same, and neither stream nor groups have changed.

    The entries at the end are left out: they change with the ids and counts before them.
    """
    told = stream[:-4] if stream[-4] == b"first-entry" else [each for each in stream if not isinstance(each, list)]
    for group in groups:
        told += group
    return hash(tuple(told))


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
