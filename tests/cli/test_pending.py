"""`rlb pending`, `rlb pending claim`, `rlb dlq add` and `rlb groups remove-consumer`: tidying up after consumers."""

from __future__ import annotations

from rlb.client import Bridge
from tests.cli.conftest import Sidecar

MODEL = "llama3.1:8b"
GROUP = "indexer"


def where(session: str) -> tuple[str, ...]:
    return ("-s", session, "-m", MODEL, "-g", GROUP)


async def deliver(sidecar: Sidecar, session: str, count: int, consumer: str = "one") -> list[str]:
    """Have a consumer take `count` entries and keep them; gives their ids."""
    async with Bridge(sidecar.socket) as bridge:
        for number in range(count):
            await bridge.produce_token(session, MODEL, f"token {number}")
        await bridge.create_group(session, MODEL, GROUP)
        return [
            delivery.entry_id for delivery in await bridge.read_messages(session, MODEL, GROUP, consumer, count=count)
        ]


async def test_pending_entries_are_listed(sidecar: Sidecar, session: str) -> None:
    """As a table without a word of what they hold, page by page, and as JSON as the API has it."""
    ids = await deliver(sidecar, session, 3)
    shown = sidecar.rlb("pending", *where(session), "--limit", "2").good()
    rows = [line.split() for line in shown.out.splitlines()]
    assert rows[0] == ["entry", "consumer", "idle", "deliveries"]
    assert [(row[0], row[1], row[-1]) for row in rows[2:]] == [(entry_id, "one", "1") for entry_id in ids[:2]]
    assert "token" not in shown.out
    assert shown.err == f"rlb: there are more; go on with --after {ids[1]}\n"
    (last,) = sidecar.rlb("pending", *where(session), "--after", ids[1], "--json").good().json
    assert set(last) == {"entryId", "consumer", "idleSeconds", "deliveries"}
    assert (last["entryId"], last["consumer"], last["deliveries"]) == (ids[2], "one", 1)
    none = sidecar.rlb("pending", *where(session), "--consumer", "two").good()
    assert (none.out, none.err) == ("", "rlb: nothing is pending for two\n")


async def test_pending_entries_are_handed_on(sidecar: Sidecar, session: str) -> None:
    """Those that are named, or all that a consumer has, more of them than one request takes."""
    ids = await deliver(sidecar, session, 120)
    claim = ("pending", "claim", *where(session))
    assert sidecar.rlb(*claim, ids[0], "--to", "two").good().out == "1 entry handed to two\n"
    some = sidecar.rlb(*claim, ids[1], "1-1", "--to", "two", "--json")
    assert (some.code, some.json) == (1, {"claimed": 1})
    assert some.err == "rlb: 1 not: not pending, or no longer in the stream\n"
    assert sidecar.rlb(*claim, "--from", "one", "--to", "two").good().out == "118 entries handed to two\n"
    assert sidecar.rlb(*claim, "--from", "one", "--to", "two", "--json").good().json == {"claimed": 0}
    found = sidecar.rlb("pending", *where(session), "--consumer", "two", "--limit", "200", "--json").good().json
    assert [entry["entryId"] for entry in found] == ids


async def test_pending_entries_become_dead_letters(sidecar: Sidecar, session: str) -> None:
    """With the reason that is given, and one that does not fit is wrong usage."""
    ids = await deliver(sidecar, session, 3)
    add = ("dlq", "add", *where(session))
    assert sidecar.rlb(*add, ids[0], "--reason", "ticket 7").good().out == "1 entry set aside\n"
    again = sidecar.rlb(*add, ids[0], "--json")
    assert (again.code, again.json) == (1, {"buried": 0})
    assert sidecar.rlb(*add, "--from", "one", "--json").good().json == {"buried": 2}
    assert sidecar.rlb("pending", *where(session), "--json").good().json == []
    letters = sidecar.rlb("dlq", "list", "-g", GROUP, "--limit", "1000", "--json").good().json
    assert [(each["entryId"], each["reason"]) for each in letters if f":{session}:" in each["stream"]] == [
        (ids[0], "ticket 7"),
        (ids[1], "set aside by hand"),
        (ids[2], "set aside by hand"),
    ]
    long = sidecar.rlb(*add, ids[0], "--reason", "x" * 257)
    assert (long.code, long.err.count("expected at most 256 characters")) == (2, 1)


async def test_a_consumer_is_removed_for_sure_only(sidecar: Sidecar, session: str) -> None:
    """`--yes` is needed where nobody can be asked; what it has pending keeps it, and the line says what to do."""
    (entry_id,) = await deliver(sidecar, session, 1)
    remove = ("groups", "remove-consumer", "one", *where(session))
    refused = sidecar.rlb(*remove)
    assert (refused.code, refused.err) == (
        2,
        "rlb: usage: nobody is there to be asked: give --yes; see `rlb groups remove-consumer --help`\n",
    )
    busy = sidecar.rlb(*remove, "--yes")
    assert busy.code == 1
    assert busy.err.startswith(
        f"rlb: consumer_busy: one of {GROUP} has entries of llm:stream:{session}:{MODEL} pending"
    )
    assert "`rlb pending claim`" in busy.err
    sidecar.rlb("pending", "claim", *where(session), entry_id, "--to", "two").good()
    assert sidecar.rlb(*remove, "--yes").good().out == "one: removed\n"
    assert sidecar.rlb(*remove, "--yes").good().out == "one: was not there\n"
    assert sidecar.rlb(*remove, "--yes", "--json").good().json == {"removed": False}


def test_without_a_group_it_says_so(sidecar: Sidecar, session: str) -> None:
    ran = sidecar.rlb("pending", *where(session))
    assert ran.code == 1
    assert ran.err.startswith("rlb: group_not_found: ")
