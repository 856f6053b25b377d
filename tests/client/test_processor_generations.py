"""The stream processor by generations: each answer handled once, whole, or refused with the reason."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from rlb import Bridge, FinishedGeneration, StreamProcessor
from tests.client.processing import has_dead_letters, write
from tests.client.streams import eventually, pending_in


async def test_finished_generations_are_handled_whole(patient_bridge: Bridge, redis: Redis) -> None:
    """The handler gets each answer once, with its text and its reason; then nothing of it is pending."""
    seen: list[FinishedGeneration] = []

    async def handle(generation: FinishedGeneration) -> None:
        seen.append(generation)

    async with patient_bridge as bridge:
        await write(bridge, "s", ["Hel", "lo"])
        async with StreamProcessor(bridge, "g", handle, per="generation") as processor:
            await write(bridge, "s", ["again"], "length")
            await write(bridge, "t", ["other"])
            await eventually(lambda: processor.statistics.handled == 3)
        assert [(one.text, one.finish_reason, one.missing) for one in seen if one.session_id == "s"] == [
            ("Hello", "stop", 0),
            ("again", "length", 0),
        ]
        assert [one.text for one in seen if one.session_id == "t"] == ["other"]
        assert [message.token for message in seen[0].messages][-1] == ""
        assert await pending_in(redis, "s", "g") == 0
        assert await pending_in(redis, "t", "g") == 0


async def test_consumers_of_one_group_get_whole_generations(patient_bridge: Bridge) -> None:
    """The tokens of one stream are spread over both consumers; each answer is handled once, and whole."""
    texts: list[str] = []

    async def handle(generation: FinishedGeneration) -> None:
        assert generation.missing == 0
        texts.append(generation.text)

    async def answer(number: int) -> None:
        async with patient_bridge.generation(f"s-{number}", "m") as generation:
            for token in range(20):
                await generation.produce(f"{number}.{token} ")
                await asyncio.sleep(0.005)

    async with (
        patient_bridge as bridge,
        StreamProcessor(bridge, "g", handle, per="generation", consumer="one", max_in_flight=3) as one,
        StreamProcessor(bridge, "g", handle, per="generation", consumer="two", max_in_flight=3) as two,
    ):
        await asyncio.gather(*(answer(number) for number in range(6)))
        await eventually(lambda: one.statistics.handled + two.statistics.handled == 6)
    expected = ["".join(f"{number}.{token} " for token in range(20)) for number in range(6)]
    assert sorted(texts) == expected


async def test_long_generations_do_not_stall_on_the_bound(patient_bridge: Bridge) -> None:
    """Many open answers, each longer than may be in flight, are handled all the same."""
    seen: list[str] = []

    async def handle(generation: FinishedGeneration) -> None:
        seen.append(generation.text)

    tokens = [f"{number} " for number in range(100)]
    async with patient_bridge as bridge, StreamProcessor(bridge, "g", handle, per="generation", max_in_flight=10):
        await asyncio.gather(*(write(bridge, f"s-{number}", tokens) for number in range(10)))
        await eventually(lambda: len(seen) == 10)
    assert set(seen) == {"".join(tokens)}


async def test_a_poison_generation_becomes_one_dead_letter(bridge: Bridge, redis: Redis) -> None:
    """Its completing message stands for it; replayed, the whole answer is handled again."""
    healed = asyncio.Event()
    seen: list[str] = []

    async def handle(generation: FinishedGeneration) -> None:
        if not healed.is_set():
            raise ConnectionError
        seen.append(generation.text)

    await write(bridge, "s", ["a", "b"])
    async with StreamProcessor(bridge, "g", handle, per="generation", attempts=1) as processor:
        await eventually(lambda: has_dead_letters(bridge, "g", 1))
        (letter,) = await bridge.dead_letters("g")
        assert letter.reason == "ConnectionError in attempt 1 of 1"
        assert letter.message is not None
        assert letter.message.is_complete
        healed.set()
        await bridge.replay_dead_letters("g", [letter.id])
        await eventually(lambda: processor.statistics.handled == 1)
    assert seen == ["ab"]
    assert await pending_in(redis, "s", "g") == 0


async def test_a_generation_beyond_the_bound_is_refused(bridge: Bridge) -> None:
    """It is not cut short in silence: it goes to the dead letters with the bound as the reason."""

    async def handle(generation: FinishedGeneration) -> None:
        raise AssertionError

    await write(bridge, "s", [str(number) for number in range(20)])
    async with StreamProcessor(bridge, "g", handle, per="generation", max_generation_messages=20):
        await eventually(lambda: has_dead_letters(bridge, "g", 1))
    (letter,) = await bridge.dead_letters("g")
    assert letter.reason == "longer than 20 messages"


async def test_a_trimmed_generation_says_what_is_missing(patient_bridge: Bridge, redis: Redis) -> None:
    """What Redis no longer held is counted, so that a hole in the text is not taken for the text."""
    seen: list[FinishedGeneration] = []

    async def handle(generation: FinishedGeneration) -> None:
        seen.append(generation)

    async with patient_bridge as bridge:
        await write(bridge, "s", [str(number) for number in range(10)])
        await redis.xtrim("llm:stream:s:m", maxlen=4, approximate=False)
        async with StreamProcessor(bridge, "g", handle, per="generation") as processor:
            await eventually(lambda: processor.statistics.handled == 1)
    assert (seen[0].text, seen[0].missing) == ("789", 7)
