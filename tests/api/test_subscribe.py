"""Subscriptions: every stream of a model as one consumer, new ones as they appear, at most so many unacknowledged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from rlb.api import consume
from tests.support.http import NDJSON, PATIENCE_S, M, lines, problem, session
from tests.support.sidecar import StartSidecar

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


async def produce(http: aiohttp.ClientSession, session_id: str, *tokens: str, model_id: str = M) -> list[str]:
    bodies: list[Any] = [{"sessionId": session_id, "modelId": model_id, "token": text} for text in tokens]
    async with http.post("/v1/tokens", data=lines(bodies), headers={"Content-Type": NDJSON}) as response:
        return [json.loads(line)["entryId"] for line in (await response.read()).splitlines()]


class Deliveries:
    """What a subscription hands out."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        async with asyncio.timeout(timeout_s):
            line = await self.response.content.readline()
        assert line, "the subscription ended"
        delivery: dict[str, Any] = json.loads(line)
        return delivery

    async def take(self, count: int) -> list[dict[str, Any]]:
        return [await self.next() for _ in range(count)]

    async def is_silent(self) -> bool:
        try:
            await self.next(0.3)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def subscribe(http: aiohttp.ClientSession, **params: str) -> AsyncIterator[Deliveries]:
    async with http.get("/v1/subscribe", params={"group": "g", "consumer": "c"} | params) as response:
        assert (response.status, response.content_type) == (200, NDJSON), await response.text()
        yield Deliveries(response)


async def settle(http: aiohttp.ClientSession, how: str, *deliveries: dict[str, Any], group: str = "g") -> None:
    for each in deliveries:
        body = {"sessionId": each["sessionId"], "modelId": each["modelId"], "group": group}
        async with http.post(f"/v1/messages/{how}", json=body | {"entryIds": [each["entryId"]]}) as response:
            assert await response.json() == {"acknowledged": 1}


def told(deliveries: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["sessionId"], each["message"]["token"]) for each in deliveries]


@LOOPS
async def test_streams_of_a_model(start_sidecar: StartSidecar, loop: str) -> None:
    """All streams of the model, those that were there and those that come, each message once; no other model's."""
    async with session(start_sidecar(loop=loop).path) as http:
        (first,) = await produce(http, "s-1", "a")
        await produce(http, "s-1", "x", model_id="other")
        async with subscribe(http, modelId=M) as deliveries:
            delivery = await deliveries.next()
            assert set(delivery) == {"sessionId", "modelId", "entryId", "deliveryCount", "message"}
            assert (delivery["sessionId"], delivery["modelId"], delivery["entryId"]) == ("s-1", M, first)
            assert (delivery["deliveryCount"], delivery["message"]["token"]) == (1, "a")
            await produce(http, "s-2", "b")
            await produce(http, "s-1", "c")
            assert set(told(await deliveries.take(2))) == {("s-2", "b"), ("s-1", "c")}
            assert await deliveries.is_silent()


@pytest.mark.parametrize("params", [{}, {"modelId": "*"}], ids=["unsaid", "star"])
async def test_streams_of_every_model(http: aiohttp.ClientSession, params: dict[str, str]) -> None:
    """Without a model, or with `*`, it is every stream there is."""
    async with subscribe(http, **params) as deliveries:
        for model_id in (M, "llama3.1:8b"):
            await produce(http, "s-1", model_id, model_id=model_id)
            delivery = await deliveries.next()
            assert delivery["modelId"] == delivery["message"]["token"] == model_id


async def test_streams_that_others_write(http: aiohttp.ClientSession, redis: Redis) -> None:
    """A stream that no sidecar has written is found by the sweep, and its group begins at its start."""
    await redis.xadd("llm:stream:foreign:m", {"data": '{"token":"x"}'})
    async with subscribe(http, modelId="m") as deliveries:
        delivery = await deliveries.next()
        assert (delivery["sessionId"], delivery["message"]) == ("foreign", {"token": "x"})


async def test_order_within_a_stream(http: aiohttp.ClientSession) -> None:
    """However many streams there are, each one's messages come in their order."""
    async with subscribe(http, maxInFlight="10000") as deliveries:
        for number in range(20):
            await asyncio.gather(*(produce(http, f"s-{one}", f"{number}a", f"{number}b") for one in range(10)))
        found = told(await deliveries.take(400))
    for one in range(10):
        wanted = [f"{number}{part}" for number in range(20) for part in "ab"]
        assert [text for name, text in found if name == f"s-{one}"] == wanted


async def test_in_flight_is_bounded(http: aiohttp.ClientSession) -> None:
    """No more is handed out than may be unacknowledged; each ack makes room for one more."""
    await produce(http, "s-1", *"abcdef")
    async with subscribe(http, maxInFlight="2") as deliveries:
        held = await deliveries.take(2)
        assert await deliveries.is_silent()
        await settle(http, "ack", held[0])
        held = [held[1], await deliveries.next()]
        assert await deliveries.is_silent()
        await settle(http, "ack", *held)
        assert [text for _, text in told(await deliveries.take(2))] == ["d", "e"]


async def test_two_consumers_share(http: aiohttp.ClientSession) -> None:
    """Consumers of one group divide the messages; another group has them all for itself."""
    async with (
        subscribe(http, consumer="c") as one,
        subscribe(http, consumer="d") as two,
        subscribe(http, group="other", maxInFlight="1000") as other,
    ):
        await asyncio.gather(*(produce(http, f"s-{number}", *"abcde") for number in range(20)))
        assert len(set(told(await other.take(100)))) == 100
        shared: list[dict[str, Any]] = []

        async def collect(deliveries: Deliveries) -> None:
            while True:
                shared.append(await deliveries.next())

        collecting = [asyncio.create_task(collect(deliveries)) for deliveries in (one, two)]
        async with asyncio.timeout(PATIENCE_S):
            while len(shared) < 100:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # for what should not come
        for task in collecting:
            task.cancel()
        await asyncio.gather(*collecting, return_exceptions=True)
    assert len(set(told(shared))) == len(shared) == 100


async def test_nack_comes_again(http: aiohttp.ClientSession) -> None:
    """What is given back is handed out again at once, counted up."""
    async with subscribe(http) as deliveries:
        await produce(http, "s-1", "a")
        first = await deliveries.next()
        await settle(http, "nack", first)
        again = await deliveries.next()
        assert (again["entryId"], again["deliveryCount"]) == (first["entryId"], 2)
        await settle(http, "ack", again)
        assert await deliveries.is_silent()


async def test_a_dead_consumers_deliveries_are_claimed(start_sidecar: StartSidecar) -> None:
    """What a consumer took and never acknowledged goes to another one when it has been idle for long enough."""
    sidecar = start_sidecar(groups={"claim_idle_ms": 2000})
    async with session(sidecar.path) as http:
        await produce(http, "s-1", "a", "b")
        async with subscribe(http, consumer="dead") as deliveries:
            assert len(await deliveries.take(2)) == 2
        async with subscribe(http, consumer="alive") as deliveries:
            found = await deliveries.take(2)
            assert {(each["message"]["token"], each["deliveryCount"]) for each in found} == {("a", 2), ("b", 2)}


async def test_a_consumer_that_comes_back_goes_on(start_sidecar: StartSidecar) -> None:
    """After a restart a consumer has its unacknowledged deliveries first, and then what is new."""
    first = start_sidecar()
    async with session(first.path) as http:
        await produce(http, "s-1", "a", "b")
        async with subscribe(http) as deliveries:
            await settle(http, "ack", (await deliveries.take(2))[0])
    first.begin_stop()
    first.wait()
    async with session(start_sidecar().path) as http, subscribe(http) as deliveries:
        assert (await deliveries.next())["message"]["token"] == "b"
        await produce(http, "s-1", "c")
        assert (await deliveries.next())["message"]["token"] == "c"


@pytest.mark.parametrize(
    "params",
    [
        {"group": ""},
        {"group": "a b"},
        {"consumer": ""},
        {"consumer": "x" * 129},
        {"maxInFlight": "0"},
        {"maxInFlight": "10001"},
        {"maxInFlight": "many"},
        {"modelId": "a b"},
        {"modelId": "m" * 257},
        {"modelId": "llama*"},
    ],
    ids=str,
)
async def test_parameters(http: aiohttp.ClientSession, params: dict[str, str]) -> None:
    """What cannot be subscribed to is told of before the response begins, rather than by silence."""
    async with http.get("/v1/subscribe", params={"group": "g", "consumer": "c"} | params) as response:
        await problem(response, 400, "invalid_message")


async def test_silence_is_broken(http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """A subscription without deliveries says now and then that it is alive."""
    monkeypatch.setattr(consume, "PING_S", 0.05)
    async with subscribe(http) as deliveries:
        assert await deliveries.take(2) == [{"ping": True}] * 2


@LOOPS
async def test_a_drain_ends_subscriptions(start_sidecar: StartSidecar, loop: str) -> None:
    """A sidecar that stops says so in the last line, and ends at once."""
    sidecar = start_sidecar(loop=loop, drain_s=60.0)
    async with session(sidecar.path) as http, subscribe(http) as deliveries:
        await produce(http, "s-1", "a")
        await deliveries.next()
        sidecar.begin_stop()
        assert (await deliveries.next())["error"]["code"] == "draining"
        assert await deliveries.response.content.read() == b""
        sidecar.wait()


@LOOPS
async def test_hanging_up_strands_nothing(start_sidecar: StartSidecar, loop: str) -> None:
    """Deliveries that nobody could be handed wait for the consumer's next subscription."""
    sidecar = start_sidecar(loop=loop)
    async with session(sidecar.path) as http:
        seen = set()
        for number in range(20):
            async with subscribe(http, maxInFlight="1000"):
                pass
            await produce(http, "s-1", f"{number}")
            async with subscribe(http, maxInFlight="1000") as deliveries:
                while f"{number}" not in seen:
                    seen.add((await deliveries.next())["message"]["token"])
    assert len(seen) == 20


async def test_a_deleted_stream_does_not_end_the_others(http: aiohttp.ClientSession) -> None:
    """A stream that goes away is dropped, and followed again when it is made anew."""
    async with subscribe(http) as deliveries:
        await produce(http, "s-1", "a")
        await produce(http, "s-2", "b")
        await settle(http, "ack", *await deliveries.take(2))
        async with http.delete(f"/v1/streams/s-1/{M}") as response:
            assert response.status == 204
        await produce(http, "s-2", "c")
        assert told([await deliveries.next()]) == [("s-2", "c")]
        await produce(http, "s-1", "d")
        assert told([await deliveries.next()]) == [("s-1", "d")]
