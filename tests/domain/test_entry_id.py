"""Entry ids: read strictly, ordered as Redis orders them, written as Redis writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.entry_id import ZERO, EntryId, parse_entry_id
from rlb.errors import InvalidIdError
from tests.support.fuzz import examples

HALVES = st.integers(0, 2**64 - 1)
IDS = st.builds(EntryId, HALVES, HALVES)


@examples(200)
@given(IDS)
def test_an_id_survives_being_written_and_read(entry_id: EntryId) -> None:
    """Text and bytes of an id read back as the same id."""
    assert parse_entry_id(str(entry_id)) == entry_id
    assert parse_entry_id(entry_id.wire) == entry_id
    assert entry_id.after == b"(" + entry_id.wire


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        (ZERO, EntryId(0, 1)),
        (EntryId(9, 2**64 - 1), EntryId(10, 0)),
        (EntryId(9, 9), EntryId(9, 10)),
    ],
    ids=str,
)
def test_order_is_that_of_redis(smaller: EntryId, larger: EntryId) -> None:
    """Milliseconds decide, then the sequence, both as numbers and not as text."""
    assert smaller < larger


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "+",
        "$",
        ">",
        "0",
        "1",
        "-1",
        "1-",
        "-1-1",
        "1-*",
        "1--1",
        "1-1-1",
        " 1-1",
        "1-1 ",
        "1-1\n",
        "01-1",
        "1-01",
        "1_0-1",
        "+1-1",
        "1.0-1",
        "0x1-1",
        "\u0661-1",
        "18446744073709551616-0",
        "0-18446744073709551616",
        "9" * 400 + "-1",
    ],
    ids=repr,
)
def test_what_is_no_complete_id_is_refused(text: str) -> None:
    """Nothing but two plain 64-bit decimals is an id; a broken one never becomes the start of the stream."""
    with pytest.raises(InvalidIdError) as refused:
        parse_entry_id(text)
    assert len(refused.value.detail) < 200


@examples(300)
@given(st.text(max_size=50))
def test_any_text_is_an_id_or_refused(text: str) -> None:
    """Reading never fails in another way, and accepts exactly what it would write."""
    try:
        entry_id = parse_entry_id(text)
    except InvalidIdError:
        return
    assert str(entry_id) == text
