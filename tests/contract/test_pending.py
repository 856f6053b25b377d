"""What operators do with pending entries: nothing is lost by it, and whoever is to have an entry gets it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from rlb.bridge.delivery import Delivery
from rlb.bridge.group_reader import MAX_HANDED
from rlb.bridge.pending import BY_HAND
from rlb.domain.entry_id import ZERO, EntryId
from rlb.domain.stream_facts import PendingEntry
from rlb.errors import ConsumerBusyError, GroupNotFoundError, InvalidIdError, WrongTypeError
from tests.servers.process import RedisServer
from tests.support.assertions import eventually
from tests.support.cores import RunningCore, StartCore
from tests.support.tokens import KEY, token_of

PATIENT: dict[str, dict[str, Any]] = {"groups": {"claim_idle_ms": 600_000}}
"""Nothing is claimed by itself while a test lasts: what moves was moved by hand."""


@pytest.fixture
async def patient(server: RedisServer, start_core: StartCore) -> RunningCore:
    return await start_core(server.url, **PATIENT).ready()


def ids_of(deliveries: list[Delivery]) -> list[EntryId]:
    return [delivery.entry.id for delivery in deliveries]


def tokens(deliveries: list[Delivery]) -> list[str]:
    return [token_of(delivery.entry) for delivery in deliveries]


async def held(core: RunningCore, consumer: str | None = None) -> list[PendingEntry]:
    return await core.core.pending.page(core.stream(), "g", consumer, ZERO, 1000)


async def claim(core: RunningCore, consumer: str, deliveries: list[Delivery]) -> int:
    return await core.core.pending.claim(core.stream(), "g", consumer, ids_of(deliveries))


async def bury(core: RunningCore, ids: list[EntryId], reason: str | None = None) -> int:
    return await core.core.pending.bury(core.stream(), "g", ids, reason)


async def take(core: RunningCore, count: int, consumer: str = "one") -> list[Delivery]:
    """So many new entries, delivered to a consumer of the group `g`."""
    await core.generate(count)
    await core.core.groups.create(core.stream(), "g")
    return await core.read("g", consumer, count)


async def test_pending_entries_are_listed(patient: RunningCore) -> None:
    """With their consumer, how long they have been idle and how often they were delivered; no more than asked for."""
    first = await take(patient, 3)
    await patient.write("3")
    second = await patient.read("g", "two")
    await patient.acknowledge("g", first[:1])
    await asyncio.sleep(0.05)
    found = await held(patient)
    assert [entry.entry_id for entry in found] == ids_of(first[1:] + second)
    assert [(entry.consumer, entry.deliveries) for entry in found] == [("one", 1), ("one", 1), ("two", 1)]
    assert all(40 < entry.idle_ms < 60_000 for entry in found)
    assert [entry.entry_id for entry in await held(patient, "two")] == ids_of(second)
    assert await held(patient, "nobody") == []
    page = patient.core.pending.page
    (first_again,) = await page(patient.stream(), "g", None, ZERO, 1)
    assert first_again._replace(idle_ms=0) == found[0]._replace(idle_ms=0)
    assert first_again.idle_ms >= found[0].idle_ms
    behind = await page(patient.stream(), "g", None, found[0].entry_id, 1)
    assert [entry.entry_id for entry in behind] == [found[1].entry_id]


async def test_a_claimed_entry_is_another_consumers(patient: RunningCore) -> None:
    """It changes hands however short it was idle, once; the claim counts as no delivery, the delivery does."""
    deliveries = await take(patient, 3)
    await patient.acknowledge("g", deliveries[:1])
    assert await claim(patient, "two", deliveries) == 2
    assert [(entry.consumer, entry.deliveries) for entry in await held(patient)] == [("two", 1)] * 2
    got = await patient.read("g", "two")
    assert (tokens(got), [delivery.count for delivery in got]) == (["1", "2"], [2, 2])
    assert await patient.read("g", "two") == []
    assert await patient.read("g", "one") == []


async def test_a_consumer_that_reads_gets_what_it_is_handed(patient: RunningCore) -> None:
    """One that has read before, and so does not ask for what is pending for it, gets it with its next read."""
    deliveries = await take(patient, 40)
    assert await patient.read("g", "two") == []
    assert await claim(patient, "two", deliveries) == 40
    assert tokens(await patient.read("g", "two", 5)) == ["0", "1", "2", "3", "4"]
    await patient.write("new")
    rest = []
    while page := await patient.read("g", "two", 30):
        rest += page
    # In order, before what is new, and once.
    assert tokens(rest) == [*map(str, range(5, 40)), "new"]


async def test_a_consumer_that_waits_is_woken(patient: RunningCore) -> None:
    deliveries = await take(patient, 2)
    reading = asyncio.create_task(patient.read("g", "two", block_s=3600))
    await asyncio.sleep(0.1)
    assert await claim(patient, "two", deliveries) == 2
    assert tokens(await reading) == ["0", "1"]


async def test_a_subscriber_gets_what_it_is_handed(patient: RunningCore) -> None:
    """And the subscriber that had it, and is stuck with as many as it may have, goes on with others."""
    await patient.generate(2)
    stuck = patient.subscribe("g", "stuck", max_in_flight=2, acks=False)
    await stuck.until(lambda it: len(it.deliveries) == 2)
    eager = patient.subscribe("g", "eager")
    await eventually(lambda: claim_all(patient, "stuck", "eager", stuck.deliveries))
    await eager.until(lambda it: it.tokens == ["0", "1"])
    await eager.close()
    await patient.write("2")
    await stuck.until(lambda it: it.tokens == ["0", "1", "2"])


async def claim_all(core: RunningCore, old: str, new: str, deliveries: list[Delivery]) -> bool:
    assert await claim(core, new, deliveries) <= len(deliveries)
    return not await held(core, old)


async def test_a_hand_over_may_be_changed(patient: RunningCore) -> None:
    """What was handed on, acknowledged or set aside before its new consumer asked for it does not come to that one."""
    deliveries = await take(patient, 4)
    assert await patient.read("g", "two") == []
    assert await claim(patient, "two", deliveries) == 4
    await claim(patient, "three", deliveries[:1])
    await patient.acknowledge("g", deliveries[1:2])
    await bury(patient, ids_of(deliveries[2:3]))
    assert tokens(await patient.read("g", "two")) == ["3"]
    assert tokens(await patient.read("g", "three")) == ["0"]


async def test_what_another_process_takes_in_between_stays_with_it(patient: RunningCore, redis: Redis) -> None:
    """A hand-over that Redis no longer knows of is not done by force."""
    deliveries = await take(patient, 2)
    assert await patient.read("g", "two") == []
    assert await claim(patient, "two", deliveries) == 2
    await redis.xclaim(KEY, "g", "elsewhere", 0, [str(deliveries[0].entry.id)])
    assert tokens(await patient.read("g", "two")) == ["1"]
    assert [entry.consumer for entry in await held(patient)] == ["elsewhere", "two"]


async def test_a_new_consumer_gets_what_it_is_handed_once(patient: RunningCore) -> None:
    """Its first read asks for all that is pending for it; what was handed over does not come twice."""
    deliveries = await take(patient, 30)
    assert await claim(patient, "two", deliveries[:20]) == 20
    assert tokens(await patient.read("g", "two", 5)) == ["0", "1", "2", "3", "4"]
    assert await claim(patient, "two", deliveries[20:]) == 10
    rest = []
    while page := await patient.read("g", "two", 7):
        rest += page
    assert tokens(rest) == [*map(str, range(5, 30))]


async def test_an_entry_that_is_gone_is_handed_to_nobody(patient: RunningCore, redis: Redis) -> None:
    """Claimed or not, there is nothing to deliver, and nothing stays pending for it."""
    deliveries = await take(patient, 2)
    assert await patient.read("g", "two") == []
    await redis.xdel(KEY, str(deliveries[0].entry.id))
    assert await claim(patient, "two", deliveries) in (1, 2)  # below Redis 7 it is still claimed
    assert tokens(await patient.read("g", "two")) == ["1"]
    assert [entry.entry_id for entry in await held(patient)] == ids_of(deliveries[1:])


async def test_more_than_is_remembered_is_not_lost(patient: RunningCore) -> None:
    """Past the bound the consumer is given all that is pending for it."""
    deliveries = await take(patient, 3)
    assert await patient.read("g", "two") == []
    assert await claim(patient, "two", deliveries) == 3
    (reader,) = [each for reading, each in patient.core.groups._readers.items() if reading.consumer == "two"]
    reader.hand(EntryId(1, number) for number in range(MAX_HANDED))
    assert tokens(await patient.read("g", "two")) == ["0", "1", "2"]


async def test_entries_are_set_aside(patient: RunningCore, redis: Redis) -> None:
    """Copied, then acknowledged; what is not pending is left alone."""
    deliveries = await take(patient, 4)
    await patient.core.groups.refuse(patient.stream(), "g", ids_of(deliveries[1:2]), "no good")
    await patient.acknowledge("g", deliveries[3:])
    assert await bury(patient, [*ids_of(deliveries), EntryId(1, 1)]) == 3
    letters = await patient.core.dead_letters.page("g", ZERO, 10)
    assert [letter.entry_id for letter in letters] == ids_of(deliveries[:3])
    assert [(letter.consumer, letter.deliveries, letter.reason) for letter in letters] == [
        ("one", 1, BY_HAND),
        ("one", 1, "no good"),
        ("one", 1, BY_HAND),
    ]
    assert await held(patient) == []
    assert await redis.xlen(KEY) == 4
    assert patient.core.groups.rules.reasons == {}
    assert await bury(patient, ids_of(deliveries)) == 0
    # And back again.
    assert len(await patient.core.dead_letters.replay("g", [letter.id for letter in letters])) == 3
    assert len(await held(patient)) == 3


async def test_an_entry_that_is_named_twice_is_one(patient: RunningCore) -> None:
    twice = ids_of(await take(patient, 1)) * 2
    assert await patient.core.pending.claim(patient.stream(), "g", "two", twice) == 1
    assert await bury(patient, twice) == 1
    assert len(await patient.core.dead_letters.page("g", ZERO, 10)) == 1


async def test_nothing_is_behind_the_highest_id(patient: RunningCore) -> None:
    await take(patient, 1)
    highest = EntryId(2**64 - 1, 2**64 - 1)
    with pytest.raises(InvalidIdError):
        await patient.core.pending.page(patient.stream(), "g", None, highest, 10)
    with pytest.raises(InvalidIdError):
        await patient.core.dead_letters.page("g", highest, 10)


async def test_the_reason_that_is_given_counts(patient: RunningCore) -> None:
    deliveries = await take(patient, 1)
    await patient.core.groups.refuse(patient.stream(), "g", ids_of(deliveries), "no good")
    assert await bury(patient, ids_of(deliveries), "ticket 7") == 1
    (letter,) = await patient.core.dead_letters.page("g", ZERO, 10)
    assert letter.reason == "ticket 7"


async def test_of_an_entry_that_is_gone_nothing_is_kept(patient: RunningCore, redis: Redis) -> None:
    deliveries = await take(patient, 2)
    await redis.xdel(KEY, str(deliveries[0].entry.id))
    assert await bury(patient, ids_of(deliveries)) == 1
    assert await held(patient) == []


async def test_without_a_copy_an_entry_stays_pending(patient: RunningCore, redis: Redis) -> None:
    """Where the dead letters cannot be written, nothing is acknowledged; called again, it is set aside."""
    deliveries = await take(patient, 2)
    await redis.set("llm:dlq:g", "in the way")
    with pytest.raises(WrongTypeError):
        await bury(patient, ids_of(deliveries))
    assert len(await held(patient)) == 2
    await redis.delete("llm:dlq:g")
    assert await bury(patient, ids_of(deliveries)) == 2


async def test_what_is_set_aside_makes_room_for_a_stuck_subscriber(patient: RunningCore) -> None:
    await patient.generate(3)
    stuck = patient.subscribe("g", "stuck", max_in_flight=2, acks=False)
    await stuck.until(lambda it: len(it.deliveries) == 2)
    assert await bury(patient, ids_of(stuck.deliveries)) == 2
    await stuck.until(lambda it: it.tokens == ["0", "1", "2"])


async def test_only_a_consumer_with_nothing_pending_is_removed(patient: RunningCore, redis: Redis) -> None:
    """Whether it has is decided in the step that removes it; one that is not there is no error."""
    deliveries = await take(patient, 2)
    remove = patient.core.pending.remove_consumer
    with pytest.raises(ConsumerBusyError, match="one of g"):
        await remove(patient.stream(), "g", "one")
    assert len(await held(patient)) == 2
    await patient.acknowledge("g", deliveries[:1])
    await claim(patient, "two", deliveries[1:])
    assert await remove(patient.stream(), "g", "one")
    assert not await remove(patient.stream(), "g", "one")
    assert [each["name"] for each in await redis.xinfo_consumers(KEY, "g")] == [b"two"]
    # It comes back by reading, as if new.
    await patient.write("2")
    assert tokens(await patient.read("g", "one")) == ["2"]


@pytest.mark.parametrize("exists", [True, False], ids=["no-group", "no-stream"])
async def test_without_a_group_each_says_so(patient: RunningCore, redis: Redis, exists: bool) -> None:
    if exists:
        await patient.write("0")
    pending, stream, at = patient.core.pending, patient.stream(), [EntryId(1, 1)]
    for call in (
        pending.page(stream, "g", None, ZERO, 10),
        pending.claim(stream, "g", "c", at),
        pending.bury(stream, "g", at, None),
        pending.remove_consumer(stream, "g", "c"),
    ):
        with pytest.raises(GroupNotFoundError):
            await call
    assert await redis.exists(KEY) == exists


async def test_where_there_is_no_stream_at_the_key_each_says_so(patient: RunningCore, redis: Redis) -> None:
    await redis.set(KEY, "mine")
    pending, stream, at = patient.core.pending, patient.stream(), [EntryId(1, 1)]
    for call in (
        pending.page(stream, "g", None, ZERO, 10),
        pending.claim(stream, "g", "c", at),
        pending.bury(stream, "g", at, None),
        pending.remove_consumer(stream, "g", "c"),
    ):
        with pytest.raises(WrongTypeError):
            await call
