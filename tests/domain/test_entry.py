"""Entries as readers see them, whoever wrote them, and the gaps that their ids show."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.entry import Entry, Gap, entry_from_fields, gap_between
from rlb.domain.entry_id import ZERO, EntryId
from tests.support.fuzz import examples

AT = EntryId(1_732_276_800_000, 7)


def message(sequence: Any = 7, *, complete: Any = False) -> dict[str, Any]:
    return {"id": "x", "token": "t", "metadata": {"sequence": sequence, "isComplete": complete}}


def entry_of(data: bytes | None, **more: bytes) -> Entry:
    fields = {name.encode(): value for name, value in more.items()}
    return entry_from_fields(AT, fields | ({b"data": data} if data is not None else {}))


def test_an_entry_of_ours() -> None:
    """The JSON is passed on byte for byte; its end, its numbering and its trace are told."""
    data = json.dumps(message(complete=True)).encode()
    traced = entry_of(data, traceparent=b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert (traced.id, traced.data, traced.json) == (AT, data, data)
    assert traced.complete
    assert traced.is_numbered
    assert traced.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@examples(200)
@given(st.text(), st.sampled_from([None, 1, 4]), st.sampled_from(["\n", "\r\n", "\r"]))
def test_foreign_json_becomes_one_line(text: str, indent: int | None, line_end: str) -> None:
    """JSON over several lines keeps its meaning on one, so that it can be a line or an event."""
    pretty = json.dumps({"token": text}, indent=indent, ensure_ascii=False).replace("\n", line_end).encode()
    entry = entry_of(pretty)
    assert b"\n" not in entry.json
    assert b"\r" not in entry.json
    assert json.loads(entry.json) == {"token": text}
    assert not entry.is_numbered


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        b"plain text",
        b'{"token":',
        b'{"token":"raw\nline"}',
        b"\xff\xfe",
        b'{"token":NaN}',
        b'{"token":-Infinity}',
        b"[" * 5000 + b"]" * 5000,
    ],
    ids=["missing", "empty", "text", "half", "raw line end", "not utf-8", "nan", "infinity", "too deep"],
)
def test_what_is_no_json_is_an_entry_without_a_message(data: bytes | None) -> None:
    """It is still an entry, with its id; its message is JSON null."""
    entry = entry_of(data)
    assert (entry.id, entry.data, entry.json) == (AT, None, b"null")
    assert not entry.complete
    assert not entry.is_numbered


@pytest.mark.parametrize(
    "data",
    [b"null", b"3", b'"text"', b"[]", b"{}", b'{"metadata":null}', b'{"metadata":[1]}', b'{"metadata":{}}'],
    ids=repr,
)
def test_json_that_is_no_message_passes_as_it_is(data: bytes) -> None:
    """Other JSON is passed on; nothing is concluded from it."""
    entry = entry_of(data)
    assert entry.json == data
    assert not entry.complete
    assert not entry.is_numbered


@pytest.mark.parametrize(
    ("sequence", "is_numbered"),
    [(7, True), (8, False), (0, False), (-7, False), ("7", False), (7.0, False), (None, False)],
)
def test_numbered_is_where_id_and_sequence_agree(sequence: Any, is_numbered: bool) -> None:
    """Only an id whose second half is the message's sequence counts entries."""
    assert entry_of(json.dumps(message(sequence)).encode()).is_numbered is is_numbered


@pytest.mark.parametrize("complete", ["true", 1, None, {}])
def test_only_true_completes(complete: Any) -> None:
    """What merely looks true does not end a tail."""
    assert not entry_of(json.dumps(message(complete=complete)).encode()).complete


@examples(200)
@given(st.dictionaries(st.binary(max_size=8) | st.just(b"data"), st.binary(max_size=80), max_size=4))
def test_any_entry_can_be_read(fields: dict[bytes, bytes]) -> None:
    """Whatever fields a foreign writer has put in, reading does not fail, and gives one line of JSON."""
    entry = entry_from_fields(AT, fields)
    assert b"\n" not in entry.json
    json.loads(entry.json)


def numbered(entry_id: EntryId) -> Entry:
    return Entry(entry_id, b"{}", False, True)


@examples(200)
@given(st.integers(1, 40), st.sets(st.integers(1, 40), min_size=1), st.integers(0, 40))
def test_gaps_are_what_is_missing(count: int, kept: set[int], seen: int) -> None:
    """For a reader that has seen entry `seen`, each step over what is kept tells exactly what is missing before it."""
    ids = {number: EntryId(100 + number // 7, number) for number in range(1, 41)}
    position, at = (ids[seen], seen) if seen else (ZERO, 0)
    for number in sorted(number for number in kept if seen < number <= count):
        missing = len(range(at + 1, number))
        expected = Gap(position, ids[number], missing) if missing else None
        assert gap_between(position, numbered(ids[number])) == expected
        position, at = ids[number], number


@pytest.mark.parametrize(
    ("after", "entry", "expected"),
    [
        (EntryId(5, 3), numbered(EntryId(9, 4)), None),
        (EntryId(5, 3), numbered(EntryId(9, 9)), Gap(EntryId(5, 3), EntryId(9, 9), 5)),
        (ZERO, numbered(EntryId(9, 1)), None),
        (ZERO, numbered(EntryId(9, 3)), Gap(ZERO, EntryId(9, 3), 2)),
        (EntryId(5, 0), numbered(EntryId(9, 9)), None),
        (EntryId(5, 8), numbered(EntryId(9, 1)), None),
        (EntryId(5, 3), Entry(EntryId(9, 9), b"{}", False, False), None),
        (EntryId(5, 3), Entry(EntryId(9, 0), None, False, False), None),
    ],
    ids=["next", "missing", "first", "trimmed", "behind a foreign id", "numbered anew", "unnumbered", "foreign"],
)
def test_gaps_are_told_only_where_ids_count(after: EntryId, entry: Entry, expected: Gap | None) -> None:
    """A writer that does not number its entries, or begins anew, makes no gap."""
    assert gap_between(after, entry) == expected
