"""What is counted of apps that speak to a sidecar over its socket, as a scrape of the sidecar tells it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from rlb import Bridge
from rlb.api.connection_gate import ConnectionGate, Peer
from rlb.errors import ApiError, PeerNotAllowedError
from tests.api.served import limits
from tests.support.aged import age
from tests.support.assertions import eventually
from tests.support.http import NDJSON, SSE, Conversation, session
from tests.telemetry.conftest import StartScraped

G = "indexer"
Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Scrapes:
    """A client of a sidecar that also scrapes it."""

    def __init__(self, path: Path, http: aiohttp.ClientSession) -> None:
        self.path = path
        self.http = http

    async def values(self, name: str, by: str) -> dict[str, float]:
        """What is not 0 of a series, by a label."""
        found: dict[str, float] = {}
        async with self.http.get("/metrics", headers={"Accept": "text/plain"}) as response:
            text = await response.text()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.value:
                    label = sample.labels.get(by, "")
                    found[label] = found.get(label, 0) + sample.value
        return found

    async def value(self, name: str) -> float:
        """The sum of a series over all labels."""
        return sum((await self.values(name, "")).values())

    async def becomes(self, name: str, value: float, role: str | None = None) -> None:
        """Wait until a series has a value; of the connections, those of a role."""

        async def holds() -> bool:
            found = await self.value(name) if role is None else (await self.values(name, "role")).get(role, 0)
            return found == value

        await eventually(holds, told=lambda: f"{name} did not become {value}")

    async def post(self, path: str, body: Any, content_type: str = "application/json") -> Any:
        """The answer; of one in lines, all of them."""
        data = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        async with self.http.post(path, data=data, headers={"Content-Type": content_type}) as response:
            answers = [json.loads(line) for line in (await response.text()).splitlines()]
            return answers if response.content_type == NDJSON else answers[0]


@pytest.fixture
async def scrapes(start_scraped: StartScraped) -> AsyncIterator[Scrapes]:
    sidecar = start_scraped(RLB_GENERATION__STALLED_SECONDS="0.3")
    async with session(sidecar.path) as http:
        yield Scrapes(sidecar.path, http)


SESSIONS, TOKENS = 5, 40


async def test_generations_of_our_client(scrapes: Scrapes) -> None:
    """Several at once; every token, every end."""

    async def answer(bridge: Bridge, number: int) -> None:
        async with bridge.generation(f"s-{number}", f"m-{number % 2}") as generation:
            for _ in range(TOKENS):
                await generation.produce("x")

    async with Bridge(scrapes.path) as bridge:
        await asyncio.gather(*(answer(bridge, number) for number in range(SESSIONS)))
    assert await scrapes.values("rlb_ingest_tokens_total", "model") == {"m-0": 3 * TOKENS, "m-1": 2 * TOKENS}
    assert await scrapes.value("messaging_client_sent_messages_total") == SESSIONS * (TOKENS + 1)
    assert await scrapes.values("rlb_generation_completed_total", "finish_reason") == {"stop": SESSIONS}
    assert await scrapes.value("rlb_generation_tokens_sum") == SESSIONS * TOKENS
    assert await scrapes.value("rlb_token_interval_seconds_count") == SESSIONS * (TOKENS - 1)
    assert await scrapes.value("rlb_write_batch_size_sum") == SESSIONS * (TOKENS + 1)
    assert await scrapes.value("rlb_sequence_anomalies_total") == 0
    assert await scrapes.value("rlb_generation_active") == 0


async def test_an_event_stream_that_breaks_off_ends_with_error(scrapes: Scrapes) -> None:
    """The sidecar completes it for readers, so it is counted as ended, and not as abandoned."""
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    await scrapes.post("/v1/tokens?sessionId=s&modelId=m", chunk * 3, SSE)
    assert await scrapes.values("rlb_generation_completed_total", "finish_reason") == {"error": 1}
    assert await scrapes.value("rlb_generation_tokens_sum") == 3
    assert await scrapes.value("rlb_ingest_tokens_total") == 3


async def test_a_killed_client_leaves_abandoned_generations(scrapes: Scrapes) -> None:
    """Its connection ends without a word."""
    async with session(scrapes.path) as dying, Conversation(dying, "/v1/tokens") as talk:
        talk.say(*({"sessionId": f"s-{number}", "modelId": "m", "token": "x"} for number in range(3)))
        for _ in range(3):
            await talk.hear()
        assert await scrapes.value("rlb_generation_active") == 3
        talk.response.close()
    await scrapes.becomes("rlb_generation_active", 0)
    assert await scrapes.values("rlb_generation_completed_total", "finish_reason") == {"abandoned": 3}


async def test_refused_lines_and_bodies(scrapes: Scrapes) -> None:
    """Each by why; a good line among them is taken."""
    good = b'{"sessionId":"s","modelId":"m","token":"x"}'
    answers = await scrapes.post(
        "/v1/tokens",
        b"\n".join((b"{no json", b'{"sessionId":"s"}', good, b'{"sessionId":"a:b","modelId":"m","token":"x"}', b"")),
        NDJSON,
    )
    assert ["error" in each for each in answers] == [True, True, False, True]
    for body in (b"[", b'{"sessionId":"s","modelId":"m","token":1}', b'"' + b"x" * 1_100_000 + b'"'):
        await scrapes.post("/v1/tokens", body)
    await scrapes.post("/v1/tokens", b"x" * 1_100_000 + b"\n", NDJSON)
    assert await scrapes.values("rlb_ingest_rejected_total", "reason") == {
        "invalid_json": 2,
        "schema": 3,
        "too_large": 2,
    }
    assert await scrapes.value("rlb_ingest_tokens_total") == 1


async def test_reads_and_acknowledgements(scrapes: Scrapes, redis: Redis) -> None:
    """What a read hands out and an ack settles; a second read of what is pending is a redelivery."""
    of = {"sessionId": "s", "modelId": "m", "group": G}
    tokens = b"\n".join(b'{"sessionId":"s","modelId":"m","token":"x"}' for _ in range(10)) + b"\n"
    await scrapes.post("/v1/tokens", tokens, NDJSON)
    async with scrapes.http.put("/v1/groups", json=of) as response:
        assert response.status == 201
    read = await scrapes.post("/v1/messages/read", {**of, "consumer": "one", "count": 6})
    ids = [each["entryId"] for each in read["messages"]]
    assert len(ids) == 6
    assert await scrapes.values("messaging_client_consumed_messages_total", "messaging_operation_name") == {
        "XREADGROUP": 6
    }
    assert await scrapes.values("messaging_client_consumed_messages_total", "messaging_consumer_group_name") == {G: 6}
    assert await scrapes.value("rlb_message_age_seconds_count") == 6
    await scrapes.post("/v1/messages/ack", {**of, "entryIds": ids[:4]})
    await scrapes.post("/v1/messages/ack", {**of, "entryIds": ids[:1]})
    assert await scrapes.values("rlb_message_acked_total", "group") == {G: 4}
    assert await scrapes.value("rlb_message_ack_duration_seconds_count") == 4
    assert await scrapes.value("rlb_message_redelivered_total") == 0
    # What the first one does not acknowledge goes to the next.
    await age(redis, "llm:stream:s:m", 3600)
    again = await scrapes.post("/v1/messages/read", {**of, "consumer": "two", "count": 2})
    assert [(each["entryId"], each["deliveryCount"]) for each in again["messages"]] == [(each, 2) for each in ids[4:]]
    assert await scrapes.values("messaging_client_consumed_messages_total", "messaging_operation_name") == {
        "XREADGROUP": 6,
        "XCLAIM": 2,
    }
    assert await scrapes.values("rlb_message_redelivered_total", "group") == {G: 2}
    operations = await scrapes.values("messaging_client_operation_duration_seconds_count", "messaging_operation_name")
    assert operations.keys() == {"XADD", "XREADGROUP", "XCLAIM", "XACK"}
    assert operations["XACK"] == 2


async def test_a_subscription_counts_what_it_has_sent(scrapes: Scrapes) -> None:
    """Several streams of two models, all acknowledged."""

    async def take(bridge: Bridge, count: int) -> None:
        async for delivery in bridge.subscribe(group=G):
            await delivery.ack()
            count -= 1
            if count == 0:
                return

    async with Bridge(scrapes.path) as bridge:
        for number in range(4):
            async with bridge.generation(f"s-{number}", f"m-{number % 2}") as generation:
                for _ in range(10):
                    await generation.produce("x")
        await take(bridge, 44)
    await scrapes.becomes("rlb_message_acked_total", 44)
    assert await scrapes.values("messaging_client_consumed_messages_total", "gen_ai_request_model") == {
        "m-0": 22,
        "m-1": 22,
    }
    assert await scrapes.value("rlb_message_age_seconds_count") == 44
    assert await scrapes.value("rlb_message_ack_duration_seconds_count") == 44


async def test_entries_that_nobody_took_are_not_counted_as_delivered(scrapes: Scrapes) -> None:
    """A reader that goes away while it waits gets nothing, whatever comes then."""
    of = {"sessionId": "s", "modelId": "m", "group": G}
    async with scrapes.http.put("/v1/groups", json=of) as response:
        assert response.status == 201
    async with session(scrapes.path) as leaving:
        body = {**of, "consumer": "one", "blockMs": 20_000}
        waiting = asyncio.create_task(leaving.post("/v1/messages/read", json=body))
        await scrapes.becomes("rlb_ingest_connections", 1, role="consumer")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    await scrapes.becomes("rlb_ingest_connections", 0, role="consumer")
    await scrapes.post("/v1/tokens", {"sessionId": "s", "modelId": "m", "token": "x"})
    await asyncio.sleep(0.2)
    assert await scrapes.value("messaging_client_consumed_messages_total") == 0
    read = await scrapes.post("/v1/messages/read", {**of, "consumer": "one"})
    assert len(read["messages"]) == 1
    assert await scrapes.value("messaging_client_consumed_messages_total") == 1


async def test_peers_that_are_not_allowed_are_told() -> None:
    """Only those: other refusals of a connection refuse no message."""
    told: list[ApiError] = []
    gate = ConnectionGate(limits(allow_uids=frozenset({12345}), max_connections=1), told.append)

    class Connection:
        def on_tick(self) -> None: ...

    try:
        assert gate.admit(Connection(), Peer(1, 12346, 12346)) is told[0]
        assert gate.admit(Connection(), Peer(1, 12345, 12345)) is None
        assert gate.admit(Connection(), Peer(1, 12345, 12345)) is not None
        assert [type(error) for error in told] == [PeerNotAllowedError]
    finally:
        gate.close()
