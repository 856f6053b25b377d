"""Lines keep their order over any number of conversations."""

from __future__ import annotations

import asyncio
from typing import Any

from rlb.client.outbox import Line, Outbox
from rlb.errors import RlbError


class Sender:
    """A sender that only remembers where it has opened."""

    def __init__(self) -> None:
        self.opened_in = 0

    def on_ack(self, line: Line, members: dict[str, Any]) -> None:
        raise AssertionError

    def on_failure(self, line: Line, error: RlbError) -> None:
        raise AssertionError

    def on_fenced(self, error: RlbError) -> None:
        raise AssertionError


def put(outbox: Outbox, sender: Sender, *names: str) -> None:
    for name in names:
        outbox.put(Line(sender, name, b'{"n":"%b"}\n' % name.encode()))


async def test_lines_of_one_turn_leave_together() -> None:
    """One chunk holds all that was put before it was asked for, and the first line of each sender opens."""
    outbox, one, two = Outbox(), Sender(), Sender()
    body = outbox.begin()
    put(outbox, one, "a", "b")
    put(outbox, two, "c")
    assert await anext(body) == b'{"open":true,"n":"a"}\n{"n":"b"}\n{"open":true,"n":"c"}\n'


async def test_unanswered_lines_are_sent_again_in_order() -> None:
    """A new conversation begins with what had no answer, the sender opens anew, and the old one takes no more."""
    outbox, sender = Outbox(), Sender()
    old = outbox.begin()
    put(outbox, sender, "a", "b", "c")
    await anext(old)
    assert outbox.next_answered().message_id == "a"
    put(outbox, sender, "d")
    new = outbox.begin()
    assert await anext(old, None) is None
    assert await anext(new) == b'{"open":true,"n":"b"}\n{"n":"c"}\n{"n":"d"}\n'
    assert [outbox.next_answered().message_id for _ in range(3)] == ["b", "c", "d"]
    assert outbox.is_empty


async def test_postponed_lines_hold_the_others_back() -> None:
    """After a "not now" nothing more is sent until the next conversation, which begins with what was postponed."""
    outbox, sender = Outbox(), Sender()
    body = outbox.begin()
    put(outbox, sender, "a", "b")
    await anext(body)
    outbox.postpone(outbox.next_answered())
    put(outbox, sender, "c")
    sending = asyncio.ensure_future(anext(body, None))
    await asyncio.sleep(0.01)
    assert not sending.done()
    assert not outbox.is_exhausted
    outbox.postpone(outbox.next_answered())
    assert outbox.is_exhausted
    body = outbox.begin()
    assert await anext(body) == b'{"open":true,"n":"a"}\n{"n":"b"}\n{"n":"c"}\n'
    assert await sending is None


async def test_the_body_ends_behind_the_last_line() -> None:
    """An ended conversation still sends what is queued."""
    outbox, sender = Outbox(), Sender()
    body = outbox.begin()
    put(outbox, sender, "a")
    outbox.end()
    assert [chunk async for chunk in body] == [b'{"open":true,"n":"a"}\n']


def test_giving_up_gives_back_every_line() -> None:
    """Nothing is forgotten: each line can be told that it failed."""
    outbox, sender = Outbox(), Sender()
    put(outbox, sender, "a", "b")
    assert [line.message_id for line in outbox.clear()] == ["a", "b"]
    assert outbox.is_empty
