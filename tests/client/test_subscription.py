"""Subscriptions: each message of every stream until it is acknowledged, over whatever becomes of the connection."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest
from redis.asyncio import Redis

from rlb import Bridge, Delivery, Subscription
from rlb.client.transport import LinkError
from rlb.errors import InvalidMessageError, SidecarUnreachableError
from tests.client.conftest import REDELIVERING, OwnSidecar, RunSidecar
from tests.client.streams import eventually, pending_in
from tests.servers.proxy import FaultProxy


async def write(bridge: Bridge, session_id: str, count: int, model_id: str = "m") -> None:
    async with bridge.generation(session_id, model_id) as generation:
        for number in range(count):
            await generation.produce(str(number))


async def take(subscription: Subscription, count: int) -> list[Delivery]:
    """That many deliveries; the subscription goes on."""
    deliveries: list[Delivery] = []
    async for delivery in subscription:
        deliveries.append(delivery)
        if len(deliveries) == count:
            break
    return deliveries


async def test_every_stream_is_delivered_and_settled(bridge: Bridge, redis: Redis) -> None:
    """Old streams and new ones, in order within each; after the acks nothing is pending."""
    await write(bridge, "old", 10)
    found: dict[str, list[str]] = {"old": [], "new": []}
    async with bridge.subscribe("g") as subscription:
        async for delivery in subscription:
            assert delivery.delivery_count == 1
            assert delivery.stream == (delivery.session_id, "m")
            found[delivery.session_id].append(delivery.message.token)
            await delivery.ack()
            if len(found["old"]) == 11 and not found["new"]:
                await write(bridge, "new", 5)
            if len(found["new"]) == 6:
                break
    assert found == {"old": [*map(str, range(10)), ""], "new": [*map(str, range(5)), ""]}
    assert await pending_in(redis, "old", "g") == 0
    assert await pending_in(redis, "new", "g") == 0


async def test_only_the_chosen_model_is_delivered(bridge: Bridge) -> None:
    """A subscription to a model sees nothing of the others."""
    await write(bridge, "s", 2, "other")
    await write(bridge, "s", 2, "meta-llama/Llama-3.1:8b")
    deliveries = await take(bridge.subscribe("g", model_id="meta-llama/Llama-3.1:8b"), 3)
    assert {delivery.model_id for delivery in deliveries} == {"meta-llama/Llama-3.1:8b"}


async def test_no_more_than_may_be_in_flight_is_delivered(bridge: Bridge) -> None:
    """Without acks the deliveries stop at the bound; each ack brings another."""
    await write(bridge, "s", 20)
    held: list[Delivery] = []

    async def collect() -> None:
        async for delivery in bridge.subscribe("g", max_in_flight=5):
            held.append(delivery)  # noqa: PERF401 - the subscription never ends by itself

    collecting = asyncio.create_task(collect())
    await eventually(lambda: len(held) == 5)
    await asyncio.sleep(0.1)
    assert len(held) == 5
    await asyncio.gather(*(delivery.ack() for delivery in held[:3]))
    await eventually(lambda: len(held) == 8)
    collecting.cancel()


async def test_acks_of_one_turn_go_out_together(bridge: Bridge, redis: Redis) -> None:
    """A hundred acks of a stream are far fewer commands."""
    await write(bridge, "s", 99)
    await redis.config_resetstat()
    deliveries = await take(bridge.subscribe("g"), 100)
    await asyncio.gather(*(delivery.ack() for delivery in deliveries))
    assert await pending_in(redis, "s", "g") == 0
    assert (await redis.info("commandstats"))["cmdstat_xack"]["calls"] == 1


async def test_what_is_given_back_comes_again_at_once(bridge: Bridge) -> None:
    """A nack brings the message back with its count, and its reason into the dead letters in the end."""
    await bridge.produce_token("s", "m", "poison")
    counts = []
    async with bridge.subscribe("g", consumer="c") as subscription:

        async def refuse_all() -> None:
            async for delivery in subscription:
                counts.append(delivery.delivery_count)
                await delivery.nack("no use")

        refusing = asyncio.create_task(refuse_all())
        await eventually(lambda: has_dead_letters(bridge, "g", 1))
        refusing.cancel()
        await asyncio.gather(refusing, return_exceptions=True)
    assert counts == [1, 2, 3]
    (letter,) = await bridge.dead_letters("g")
    assert (letter.reason, letter.deliveries, letter.consumer) == ("no use", 3, "c")
    assert letter.message is not None
    assert letter.message.token == "poison"


async def has_dead_letters(bridge: Bridge, group: str, count: int) -> bool:
    return len(await bridge.dead_letters(group)) == count


@REDELIVERING
async def test_what_is_let_go_of_comes_again(bridge: Bridge) -> None:
    """A delivery that was dropped without a word is delivered again when it has been idle for long enough."""
    await bridge.produce_token("s", "m", "a")
    counts = []
    async for delivery in bridge.subscribe("g"):
        counts.append(delivery.delivery_count)
        if len(counts) == 2:
            await delivery.ack()
            break
    assert counts == [1, 2]


async def test_another_consumer_gets_what_a_dead_one_held(run_sidecar: RunSidecar) -> None:
    """Entries of a consumer that has gone are claimed by one that is there."""
    async with Bridge(await run_sidecar(RLB_GROUPS__CLAIM_IDLE_MS="2000")) as bridge:
        await write(bridge, "s", 4)
        taken = await take(bridge.subscribe("g", consumer="dead"), 5)
        again = await take(bridge.subscribe("g", consumer="alive"), 5)
    assert [delivery.message.id for delivery in again] == [delivery.message.id for delivery in taken]
    assert {delivery.delivery_count for delivery in again} == {2}


@REDELIVERING
async def test_cut_connections_strand_nothing(shaky: Bridge, proxy: FaultProxy, redis: Redis) -> None:
    """Whatever was on its way when a connection was cut is delivered in the end, and every message is settled."""
    seen: set[str] = set()

    async def consume() -> None:
        async for delivery in shaky.subscribe("g", consumer="c", max_in_flight=20):
            await delivery.ack()
            seen.add(delivery.message.id)

    await shaky.ready()
    consuming = asyncio.create_task(consume())
    written = set()
    async with shaky.generation("s", "m") as generation:
        for number in range(300):
            written.add(await generation.produce(str(number)))
            await asyncio.sleep(0.003)
            if number % 50 == 25:
                proxy.reset_peer()
    await eventually(lambda: written <= seen)
    await eventually(lambda: all_settled(redis, "s", "g"))
    assert proxy.cut_count >= 5
    consuming.cancel()


async def all_settled(redis: Redis, session_id: str, group: str) -> bool:
    return await pending_in(redis, session_id, group) == 0


async def test_a_restarted_sidecar_strands_nothing(own_sidecar: OwnSidecar, redis: Redis) -> None:
    """Deliveries outlive the sidecar: those that the app holds are not given twice, and their acks count."""
    sidecar = own_sidecar()
    async with Bridge(sidecar.path) as bridge:
        await write(bridge, "s", 49)
        found: list[Delivery] = []

        async def collect() -> None:
            async for delivery in bridge.subscribe("g", consumer="c", max_in_flight=30):
                found.append(delivery)  # noqa: PERF401 - the subscription never ends by itself

        collecting = asyncio.create_task(collect())
        await eventually(lambda: len(found) == 30)
        await asyncio.to_thread(sidecar.kill)
        await asyncio.to_thread(sidecar.start)
        await asyncio.gather(*(delivery.ack() for delivery in found))
        await eventually(lambda: len(found) == 50)
        await asyncio.gather(*(delivery.ack() for delivery in found[30:]))
        assert [delivery.message.token for delivery in found] == [*map(str, range(49)), ""]
        assert await pending_in(redis, "s", "g") == 0
        collecting.cancel()


@REDELIVERING
async def test_an_ack_that_cannot_be_told_is_an_error(shaky: Bridge, proxy: FaultProxy, sidecar: Path) -> None:
    """Every ack that waited for the same request learns of it, and the messages come again."""
    await write(shaky, "s", 2)
    async with Bridge(proxy.listen_path, patience_s=0.2) as bridge:
        deliveries = await take(bridge.subscribe("g", consumer="one"), 3)
        await proxy.down()
        outcomes = await asyncio.gather(*(delivery.ack() for delivery in deliveries), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [LinkError] * 3
        with pytest.raises(SidecarUnreachableError, match=str(proxy.listen_path)):
            await deliveries[0].nack()
    async with Bridge(sidecar) as bridge:
        again = await take(bridge.subscribe("g", consumer="two"), 3)
    assert [delivery.entry_id for delivery in again] == [delivery.entry_id for delivery in deliveries]


async def test_an_ack_counts_although_its_caller_was_cancelled(bridge: Bridge, redis: Redis) -> None:
    """The app has said it; who waits for the answer does not matter."""
    await bridge.produce_token("s", "m", "a")
    (delivery,) = await take(bridge.subscribe("g"), 1)
    acking = asyncio.create_task(delivery.ack())
    await asyncio.sleep(0)
    acking.cancel()
    await asyncio.gather(acking, return_exceptions=True)
    await eventually(lambda: all_settled(redis, "s", "g"))


async def test_entries_that_are_no_messages_become_dead_letters(bridge: Bridge, redis: Redis) -> None:
    """The app gets messages only; the rest is set aside where an operator finds it."""
    await redis.xadd("llm:stream:s:m", {"data": "not JSON"})
    await bridge.produce_token("s", "m", "a")
    subscription = bridge.subscribe("g")
    tokens = []

    async def collect() -> None:
        async for delivery in subscription:
            tokens.append(delivery.message.token)
            await delivery.ack()

    collecting = asyncio.create_task(collect())
    await eventually(lambda: has_dead_letters(bridge, "g", 1))
    collecting.cancel()
    assert tokens == ["a"]
    assert subscription.unreadable == 3
    (letter,) = await bridge.dead_letters("g")
    assert letter.reason == "not a StreamMessage"


async def test_subscriptions_of_one_process_have_names_of_their_own(bridge: Bridge) -> None:
    """Two readers of one group are two consumers, and a name is free again when its reader is gone."""
    one, two = bridge.subscribe("g"), bridge.subscribe("g")
    assert two.consumer == f"{one.consumer}-2"
    assert bridge.subscribe("other").consumer == one.consumer
    name = one.consumer
    del one
    gc.collect()
    assert bridge.subscribe("g").consumer == name


async def test_a_bad_name_is_refused(bridge: Bridge) -> None:
    """The sidecar's refusal is the exception of the iteration."""
    with pytest.raises(InvalidMessageError, match="group"):
        await take(bridge.subscribe("no spaces"), 1)


async def test_a_delivery_shows_where_it_stands_and_not_what_it_says(bridge: Bridge) -> None:
    """Its text may end up in a log, so it has nothing of the message."""
    await bridge.produce_token("s", "m", "secret")
    (delivery,) = await take(bridge.subscribe("g"), 1)
    assert delivery.entry_id in repr(delivery)
    assert "secret" not in repr(delivery)
