"""`rlb dlq`: dead letters are listed, delivered again and dropped."""

from __future__ import annotations

from rlb.client import Bridge
from tests.cli.conftest import Sidecar

MODEL = "llama3.1:8b"


async def bury(sidecar: Sidecar, session: str, group: str, count: int) -> list[str]:
    """Have a group give up `count` entries; gives the ids of its dead letters."""
    async with Bridge(sidecar.socket) as bridge:
        for number in range(count):
            await bridge.produce_token(session, MODEL, f"token {number}")
        await bridge.create_group(session, MODEL, group)
        deliveries = await bridge.read_messages(session, MODEL, group, "worker", count=count)
        for delivery in deliveries:
            await delivery.nack("no good")
        # It is found out at the next read that they have had all their deliveries.
        assert not await bridge.read_messages(session, MODEL, group, "worker", count=count)
        letters = [letter for letter in await bridge.dead_letters(group, limit=1000) if f":{session}:" in letter.stream]
    assert len(letters) == count
    return [letter.id for letter in letters]


async def test_dead_letters_are_listed(sidecar: Sidecar, session: str) -> None:
    """With where they stood and why they are dead, page by page."""
    ids = await bury(sidecar, session, f"g-{session}", 3)
    shown = sidecar.rlb("dlq", "list", "-g", f"g-{session}", "--limit", "2").good()
    rows = shown.out.splitlines()[2:]
    assert [row.split()[0] for row in rows] == ids[:2]
    assert all(f"llm:stream:{session}:{MODEL}" in row and "no good" in row for row in rows)
    assert "'token 1'" in rows[1]
    assert shown.err == f"rlb: there are more; go on with --after {ids[1]}\n"
    letters = sidecar.rlb("dlq", "list", "-g", f"g-{session}", "--after", ids[1], "--json").good().json
    assert [(letter["id"], letter["reason"], letter["message"]["token"]) for letter in letters] == [
        (ids[2], "no good", "token 2")
    ]


async def test_dead_letters_are_delivered_again(sidecar: Sidecar, session: str) -> None:
    """Those that were chosen, or all; one that is not there makes the command fail and the others go on."""
    group = f"g-{session}"
    ids = await bury(sidecar, session, group, 4)
    some = sidecar.rlb("dlq", "replay", "-g", group, ids[0], "1-1", "--json")
    assert some.code == 1
    assert some.json == {"replayed": [ids[0]], "left": ["1-1"]}
    assert some.err.startswith("rlb: 1 not: no such dead letter")
    assert sidecar.rlb("dlq", "replay", "-g", group, "--all").good().out == "3 dead letters delivered again\n"
    assert sidecar.rlb("dlq", "list", "-g", group, "--json").good().json == []
    (found,) = sidecar.rlb("groups", "-s", session, "-m", MODEL, "--json").good().json
    assert (found["group"], found["pending"]) == (group, 4)


async def test_dead_letters_are_dropped(sidecar: Sidecar, session: str) -> None:
    """For good, so `--yes` is needed; more of them than one request takes."""
    group = f"g-{session}"
    await bury(sidecar, session, group, 60)
    ids = await bury(sidecar, f"{session}-2", group, 60)
    assert sidecar.rlb("dlq", "drop", "-g", group, "--all").code == 2
    assert sidecar.rlb("dlq", "drop", "-g", group, ids[0], "-y").good().out == "1 dead letter dropped\n"
    assert sidecar.rlb("dlq", "drop", "-g", group, "--all", "-y", "--json").good().json == {"dropped": 119}
    none = sidecar.rlb("dlq", "list", "-g", group).good()
    assert (none.out, none.err) == ("", f"rlb: no dead letters of {group}\n")
