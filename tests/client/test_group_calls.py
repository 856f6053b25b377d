"""Calls to a group: reads by hand and what settles them, dead letters, pending entries, consumers."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from rlb import Bridge
from rlb.errors import (
    ConsumerBusyError,
)
from tests.client.conftest import RunSidecar
from tests.client.streams import eventually


async def test_groups_read_settle_and_give_back(bridge: Bridge) -> None:
    """Reads by hand: what is acknowledged is gone, what is given back comes again with a higher count."""
    for token in ("a", "b", "c"):
        await bridge.produce_token("s", "m", token)
    assert await bridge.create_group("s", "m", "g")
    assert not await bridge.create_group("s", "m", "g")
    one, two, three = await bridge.read_messages("s", "m", "g", "c")
    assert [delivery.message.token for delivery in (one, two, three)] == ["a", "b", "c"]
    await one.ack()
    assert await bridge.acknowledge("s", "m", "g", [one.entry_id, two.entry_id]) == 1
    assert await bridge.nack("s", "m", "g", [three.entry_id], "later") == 1
    (again,) = await bridge.read_messages("s", "m", "g", "c", block_ms=5000)
    assert (again.message.token, again.delivery_count) == ("c", 2)
    await again.nack("later still")
    (once_more,) = await bridge.read_messages("s", "m", "g", "c", block_ms=5000)
    await once_more.ack()
    assert (await bridge.stream_info("s", "m")).groups[0].pending == 0


async def test_a_read_waits_for_what_comes(bridge: Bridge) -> None:
    """With time to block a read ends with the first message, without any it comes back empty."""
    await bridge.create_group("s", "m", "g", start="$")
    assert await bridge.read_messages("s", "m", "g", "c", block_ms=50) == []
    reading = asyncio.create_task(bridge.read_messages("s", "m", "g", "c", block_ms=10_000))
    await asyncio.sleep(0.1)
    await bridge.produce_token("s", "m", "a")
    assert [delivery.message.token for delivery in await reading] == ["a"]


async def test_waiting_reads_do_not_hold_up_other_calls(run_sidecar: RunSidecar) -> None:
    """Calls that wait on purpose take no turn from those that do not."""
    async with Bridge(await run_sidecar()) as bridge:
        await bridge.create_group("s", "m", "g")
        reads = [asyncio.create_task(bridge.read_messages("s", "m", "g", f"c-{n}", block_ms=60_000)) for n in range(50)]
        await asyncio.sleep(0.1)
        async with asyncio.timeout(20):  # before the first of the reads gives up
            await asyncio.gather(*(bridge.stream_info("s", "m") for _ in range(100)))
            await bridge.mark_complete("s", "m")
            done, waiting = await asyncio.wait(reads, return_when=asyncio.FIRST_COMPLETED)
        assert [len(read.result()) for read in done] == [1]
        for read in waiting:
            read.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_read_gives_back_what_is_no_message(bridge: Bridge, redis: Redis) -> None:
    """Entries without a message do not reach the app, and do not stay in its way."""
    await redis.xadd("llm:stream:s:m", {"data": "not JSON"})
    await bridge.produce_token("s", "m", "a")
    await bridge.create_group("s", "m", "g")
    assert [delivery.message.token for delivery in await bridge.read_messages("s", "m", "g", "c")] == ["a"]
    for _ in range(3):
        assert await bridge.read_messages("s", "m", "g", "c", block_ms=100) == []
    assert [letter.message for letter in await bridge.dead_letters("g")] == [None]


async def test_dead_letters_are_listed_replayed_and_dropped(bridge: Bridge) -> None:
    """A message that was given back too often is set aside, comes back on request, and goes for good on another."""
    await bridge.create_group("s", "m", "g")
    for token in ("a", "b"):
        await bridge.produce_token("s", "m", token)

    async def refuse_until(count: int) -> None:
        async def is_so() -> bool:
            for delivery in await bridge.read_messages("s", "m", "g", "c"):
                await delivery.nack("no use")
            return len(await bridge.dead_letters("g")) == count

        await eventually(is_so)

    await refuse_until(2)
    first, second = await bridge.dead_letters("g")
    assert (first.stream, first.reason, first.deliveries) == ("llm:stream:s:m", "no use", 3)
    assert [letter.id for letter in await bridge.dead_letters("g", limit=1)] == [first.id]
    assert [letter.id for letter in await bridge.dead_letters("g", after=first.id)] == [second.id]
    assert await bridge.drop_dead_letters("g", [second.id]) == 1
    assert await bridge.replay_dead_letters("g", [first.id, second.id]) == [first.id]
    assert await bridge.dead_letters("g") == []
    (delivery,) = await bridge.read_messages("s", "m", "g", "c", block_ms=5000)
    assert delivery.message.token == "a"
    await delivery.ack()


async def test_pending_entries_are_looked_at_in_pages(bridge: Bridge) -> None:
    """Page by page, all or one consumer's."""
    for token in ("a", "b", "c"):
        await bridge.produce_token("s", "m", token)
    await bridge.create_group("s", "m", "g")
    (first,) = await bridge.read_messages("s", "m", "g", "one", count=1)
    others = await bridge.read_messages("s", "m", "g", "two")
    page = await bridge.pending("s", "m", "g", limit=2)
    assert [(entry.entry_id, entry.consumer, entry.deliveries) for entry in page.pending] == [
        (first.entry_id, "one", 1),
        (others[0].entry_id, "two", 1),
    ]
    assert all(0 <= entry.idle_seconds < 60 for entry in page.pending)
    rest = await bridge.pending("s", "m", "g", limit=2, after=page.next_after)
    assert ([entry.entry_id for entry in rest.pending], rest.next_after) == ([others[1].entry_id], None)
    assert len((await bridge.pending("s", "m", "g", consumer="two")).pending) == 2


async def test_a_subscriber_gets_what_an_operator_hands_to_it(run_sidecar: RunSidecar) -> None:
    """At once, while its neighbour, which sits on it, keeps its connection."""
    async with Bridge(await run_sidecar(RLB_GROUPS__CLAIM_IDLE_MS="600000")) as bridge:
        await bridge.produce_token("s", "m", "a")
        await bridge.create_group("s", "m", "g")
        (stuck,) = await bridge.read_messages("s", "m", "g", "stuck")
        deliveries = bridge.subscribe("g", consumer="eager")
        waiting = asyncio.create_task(anext(aiter(deliveries)))
        await asyncio.sleep(0.3)
        assert await bridge.claim("s", "m", "g", "eager", [stuck.entry_id, "1-1"]) == 1
        async with asyncio.timeout(10):
            delivery = await waiting
        assert (delivery.entry_id, delivery.delivery_count) == (stuck.entry_id, 2)
        await delivery.ack()
        await deliveries.aclose()
        assert (await bridge.pending("s", "m", "g")).pending == ()
        assert await bridge.remove_consumer("s", "m", "g", "stuck")
        assert not await bridge.remove_consumer("s", "m", "g", "stuck")


async def test_entries_are_set_aside_by_hand(bridge: Bridge) -> None:
    """With a reason or without; the consumer that has nothing pending then may go."""
    for token in ("a", "b"):
        await bridge.produce_token("s", "m", token)
    await bridge.create_group("s", "m", "g")
    first, second = await bridge.read_messages("s", "m", "g", "c")
    with pytest.raises(ConsumerBusyError, match="c of g"):
        await bridge.remove_consumer("s", "m", "g", "c")
    assert await bridge.bury("s", "m", "g", [first.entry_id], "ticket 7") == 1
    assert await bridge.bury("s", "m", "g", [first.entry_id, second.entry_id]) == 1
    letters = await bridge.dead_letters("g")
    assert [(letter.entry_id, letter.reason) for letter in letters] == [
        (first.entry_id, "ticket 7"),
        (second.entry_id, "set aside by hand"),
    ]
    assert await bridge.remove_consumer("s", "m", "g", "c")
