"""Acks: valid JSON whatever the app calls its lines, in the order of the lines, whichever is ready first."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.api import acks as acks_module
from rlb.api.acks import AckStream, ack_members, error_line
from rlb.bridge.durability import DurabilityProbe
from rlb.bridge.ticket import Ticket
from rlb.domain.draft import Draft, Durability
from rlb.domain.entry_id import EntryId
from rlb.domain.stream_key import stream_key
from rlb.errors import BY_CODE, ApiError, FencedError
from tests.support.fuzz import examples

# Also what no JSON parser lets through today, such as half of a surrogate pair.
refs = st.none() | st.integers() | st.text(max_size=128) | st.characters(categories=["Cs", "Cc"])


def ticket(message_id: str = "m-1", durability: Durability = "written") -> Ticket:
    draft = Draft(message_id, b"{", b"}", None, True, durability, None)
    return Ticket(stream_key("llm:stream", "s", "m"), draft, None, 0.0, lambda _: None, lambda _: None)


def settled(message_id: str = "m-1", seq: int = 7, *, duplicate: bool = False, **more: Any) -> Ticket:
    done = ticket(message_id, **more)
    done.entry_id, done.duplicate = EntryId(1732276800000, seq), duplicate
    return done


class Levels:
    """Reaches what is asked for, once it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def reached(self, of: Ticket) -> Durability:
        await self.go_on.wait()
        return of.draft.durability


class Peer:
    """Takes what is sent; each element is one piece."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def send(self, piece: bytes) -> None:
        self.pieces.append(piece)

    @property
    def refs(self) -> list[Any]:
        return [json.loads(line).get("ref") for line in b"".join(self.pieces).splitlines()]


def stream(levels: Any = None) -> AckStream:
    return AckStream(cast("DurabilityProbe", levels or Levels()))


@examples(200)
@given(
    ref=refs,
    message_id=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
    duplicate=st.booleans(),
)
def test_an_ack_is_one_line_of_json(ref: str | int | None, message_id: str, duplicate: bool) -> None:
    """Any ref and message id comes back as it was, in one line of ASCII with just the members of the contract."""
    acks = stream()
    slot = acks.slot(ref)
    slot.on_done(settled(message_id, duplicate=duplicate))
    line = slot.line
    assert line is not None
    assert line.isascii()
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    wanted: dict[str, Any] = {} if ref is None else {"ref": ref}
    wanted |= {"messageId": message_id, "entryId": "1732276800000-7", "sequence": 7, "durability": "written"}
    if duplicate:
        wanted["duplicate"] = True
    assert json.loads(line) == wanted


@examples(100)
@given(ref=refs, detail=st.text(), kind=st.sampled_from(sorted(BY_CODE)))
def test_an_error_is_one_line_of_json(ref: str | int | None, detail: str, kind: str) -> None:
    """Any ref and detail makes one line of ASCII with code and detail, and the ref only where there is one."""
    line = error_line(ref, BY_CODE[kind](detail))
    assert line.isascii()
    assert line.count(b"\n") == 1
    wanted: dict[str, Any] = {} if ref is None else {"ref": ref}
    assert json.loads(line) == wanted | {"error": {"code": kind, "detail": detail}}


def test_a_whole_ack_is_the_same_without_a_ref() -> None:
    """The members of a line make the body of a unary answer too."""
    assert json.loads(f"{{{ack_members(settled(seq=9), 'replicated')}}}") == {
        "messageId": "m-1",
        "entryId": "1732276800000-9",
        "sequence": 9,
        "durability": "replicated",
    }


@examples(100)
@given(order=st.permutations(range(8)))
async def test_acks_leave_in_the_order_of_their_lines(order: list[int]) -> None:
    """Whichever message is written first, the acks keep the order of the lines, and none is left out."""
    acks, peer = stream(), Peer()
    slots = [acks.slot(number) for number in range(8)]
    pump = asyncio.create_task(acks.pump(peer.send))
    for number in order:
        slots[number].on_done(settled(seq=number + 1))
        await asyncio.sleep(0)
        ready = next((n for n, slot in enumerate(slots) if slot.line is None), 8)
        await asyncio.sleep(0)
        assert peer.refs == list(range(ready))
    acks.finish()
    await pump
    assert peer.refs == list(range(8))


async def test_acks_that_are_ready_together_leave_in_one_piece() -> None:
    """One write for many lines: that is what makes them cheap."""
    acks, peer = stream(), Peer()
    for number in range(100):
        acks.slot(number).on_done(settled())
    acks.finish()
    await acks.pump(peer.send)
    assert len(peer.pieces) == 1
    assert peer.refs == list(range(100))


async def test_a_refused_message_has_its_place() -> None:
    """An error line stands where the ack would have stood."""
    acks, peer = stream(), Peer()
    first, second = acks.slot("a"), acks.slot("b")
    refused = ticket()
    refused.error = FencedError("another writer")
    second.on_done(refused)
    first.on_done(settled())
    acks.finish()
    await acks.pump(peer.send)
    answers = [json.loads(line) for line in b"".join(peer.pieces).splitlines()]
    assert answers[0]["sequence"] == 7
    assert answers[1] == {"ref": "b", "error": {"code": "fenced", "detail": "another writer"}}


async def test_a_stronger_durability_holds_the_later_acks_back() -> None:
    """An ack that waits for replicas says the level that was reached, and the ones behind it wait for it."""
    levels, peer = Levels(), Peer()
    acks = stream(levels)
    acks.slot(0).on_done(settled(durability="replicated"))
    acks.slot(1).on_done(settled())
    acks.finish()
    pump = asyncio.create_task(acks.pump(peer.send))
    await asyncio.sleep(0.01)
    assert peer.pieces == []
    levels.go_on.set()
    await pump
    assert peer.refs == [0, 1]
    assert json.loads(peer.pieces[0].splitlines()[0])["durability"] == "replicated"


async def test_lines_wait_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit of lines without a sent ack no further one is taken, until some acks have left."""
    monkeypatch.setattr(acks_module, "MAX_WAITING", 2)
    acks, peer = stream(), Peer()
    slots = [acks.slot(number) for number in range(2)]
    waiting = asyncio.create_task(acks.room())
    pump = asyncio.create_task(acks.pump(peer.send))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    slots[1].on_done(settled())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    slots[0].on_done(settled())
    await asyncio.wait_for(waiting, 10)
    acks.finish()
    await pump


async def test_a_peer_that_is_gone_ends_the_pump() -> None:
    """What sending raises comes out of the pump: there is nobody left to answer."""

    async def send(piece: bytes) -> None:
        raise ConnectionResetError

    acks = stream()
    acks.slot(None).fill(error_line(None, ApiError("x")))
    with pytest.raises(ConnectionResetError):
        await acks.pump(send)


def test_only_settled_tickets_are_acked() -> None:
    """A ticket without an entry is a fault of the sidecar, not an ack."""
    with pytest.raises(AssertionError):
        ack_members(ticket(), "written")
