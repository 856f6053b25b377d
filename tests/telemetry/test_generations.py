"""Generations as they are counted and timed, written through a core on a real server."""

from __future__ import annotations

import asyncio
import time

import pytest

from rlb.telemetry import generations as module
from tests.servers.process import RedisServer
from tests.support.assertions import eventually
from tests.support.tokens import KEY, M
from tests.telemetry.counted import CountedCore, StartCounted, completed, leave

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = TRACEPARENT[:-1] + "0"
QUICK = {"stalled_seconds": 0.3, "abandoned_seconds": 60}
SESSIONS, TOKENS = 7, 23


async def test_whole_generations_are_counted_to_the_token(counted: CountedCore) -> None:
    """Sessions of two models at the same time, each token and each end once."""
    connection = counted.core.connection()
    sizes = 0
    for number in range(TOKENS):
        for session in range(SESSIONS):
            ticket = connection.send(f"t{number}", session=f"s-{session}", model=f"m-{session % 2}")
            sizes += ticket.draft.size
        await asyncio.sleep(0)
    for session in range(SESSIONS):
        sizes += connection.send("", session=f"s-{session}", model=f"m-{session % 2}", complete="stop").draft.size
    await connection.answers()
    of = {"m-0": 4, "m-1": 3}
    assert counted.values("rlb.ingest.tokens", "model") == {model: count * TOKENS for model, count in of.items()}
    assert counted.value("rlb.ingest.size") == sizes
    for model, count in of.items():
        sent = counted.value("messaging.client.sent.messages", gen_ai__request__model=model, error__type=None)
        assert sent == count * (TOKENS + 1)
        assert counted.value("rlb.generation.completed", model=model, finish_reason="stop") == count
        assert counted.histogram("rlb.generation.tokens", model=model) == (count, count * TOKENS)
        assert counted.histogram("rlb.token.interval", model=model)[0] == count * (TOKENS - 1)
        for name in ("gen_ai.server.request.duration", "gen_ai.server.time_per_output_token"):
            assert counted.histogram(name, gen_ai__request__model=model, error__type=None)[0] == count
    assert completed(counted) == {"stop": SESSIONS}
    assert counted.value("rlb.generation.active") == 0
    assert counted.histogram("gen_ai.server.time_to_first_token") == (0, 0)
    for nothing in (
        "rlb.write.dropped",
        "rlb.write.retries",
        "rlb.sequence.anomalies",
        "rlb.generation.untracked",
        "rlb.ingest.rejected",
    ):
        assert counted.value(nothing) == 0
    messages = SESSIONS * (TOKENS + 1)
    writes, written = counted.histogram("rlb.write.batch.size")
    assert written == messages
    assert 1 < writes <= messages
    assert counted.histogram("rlb.ingest.queue.duration")[0] == writes
    assert counted.histogram("messaging.client.operation.duration", messaging__operation__name="XADD")[0] == writes


async def test_times_are_those_of_the_tokens(counted: CountedCore) -> None:
    """Intervals, duration and mean time per token of a generation with pauses."""
    connection = counted.core.connection()
    began_s = time.monotonic()
    connection.send("a", requested_at=time.time_ns() // 1_000_000 - 1500)
    for text in "bc":
        await asyncio.sleep(0.1)
        connection.send(text)
    connection.send("", complete="length")
    took_s = time.monotonic() - began_s
    await connection.answers()
    count, sum_s = counted.histogram("rlb.token.interval")
    assert count == 2
    assert 0.2 <= sum_s <= took_s
    count, waited_s = counted.histogram("gen_ai.server.time_to_first_token")
    assert count == 1
    assert 1.5 <= waited_s <= 1.5 + took_s
    _, duration_s = counted.histogram("gen_ai.server.request.duration")
    assert waited_s + 0.2 <= duration_s <= waited_s + took_s
    _, per_token_s = counted.histogram("gen_ai.server.time_per_output_token")
    assert 0.1 <= per_token_s <= took_s / 2
    assert completed(counted) == {"length": 1}


async def test_a_request_time_that_cannot_be_true_gives_no_time_to_first_token(counted: CountedCore) -> None:
    """A clock that is ahead: the rest is counted from the first token."""
    connection = counted.core.connection()
    connection.send("a", requested_at=time.time_ns() // 1_000_000 + 60_000)
    connection.send("", complete="stop")
    await connection.answers()
    assert counted.histogram("gen_ai.server.time_to_first_token") == (0, 0)
    count, duration_s = counted.histogram("gen_ai.server.request.duration")
    assert count == 1
    assert 0 <= duration_s < 10


async def test_calls_on_their_own_make_a_generation_too(counted: CountedCore) -> None:
    """Unary tokens, completed by a call of its own."""
    for text in "abc":
        await counted.core.write(text)
    assert counted.value("rlb.generation.active", model=M) == 1
    await counted.core.write("", complete="tool_calls")
    assert completed(counted) == {"tool_calls": 1}
    assert counted.histogram("rlb.generation.tokens") == (1, 3)
    assert counted.value("rlb.generation.active", model=M) == 0
    # What completes nothing that is open, as after a restart in mid-generation, is not a generation.
    await counted.core.write("", complete="stop")
    assert completed(counted) == {"tool_calls": 1}


async def test_a_call_on_its_own_completes_the_generation_of_a_connection(counted: CountedCore) -> None:
    """MarkStreamComplete may come on another connection than the tokens."""
    connection = counted.core.connection()
    connection.send("a")
    await connection.answers()
    await counted.core.write("", complete="stop")
    assert completed(counted) == {"stop": 1}
    leave(counted.core, connection)
    assert counted.value("rlb.generation.active") == 0


async def test_what_users_say_is_no_generation(counted: CountedCore) -> None:
    """A prompt counts as a message, and leaves nothing open."""
    await counted.core.write("hello?", role="user")
    assert counted.value("rlb.ingest.tokens") == 1
    assert counted.value("rlb.generation.active") == 0
    assert counted.instruments.generations(10) == ()


@pytest.mark.parametrize("reason", ["error", "content_filter", "function_call"])
async def test_failures_have_no_time_per_token(reason: str, counted: CountedCore) -> None:
    """What an app ends with `error` has a duration of its own kind."""
    connection = counted.core.connection()
    for text in ("a", "b", "c"):
        connection.send(text)
    connection.send("", complete=reason)
    await connection.answers()
    label = "other" if reason == "function_call" else reason
    assert completed(counted) == {label: 1}
    failed = reason == "error"
    assert counted.histogram("gen_ai.server.request.duration", error__type="error")[0] == failed
    assert counted.histogram("gen_ai.server.request.duration", error__type=None)[0] == (not failed)
    assert counted.histogram("gen_ai.server.time_per_output_token")[0] == (not failed)


async def test_repeated_messages_are_counted_and_not_timed(counted: CountedCore) -> None:
    """The same message id twice, once while the first is on its way and once after."""
    connection = counted.core.connection()
    connection.send("a", message_id="m-1")
    connection.send("a", message_id="m-1")
    await connection.answers()
    connection.send("a", message_id="m-1")
    connection.send("", complete="stop")
    await connection.answers()
    assert counted.values("rlb.sequence.anomalies", "anomaly") == {"duplicate": 2}
    assert counted.histogram("rlb.generation.tokens") == (1, 1)
    assert counted.value("rlb.ingest.tokens") == 3
    assert counted.value("messaging.client.sent.messages") == 2


async def test_an_apps_own_numbers_are_checked(counted: CountedCore) -> None:
    """Each generation's on its own; a message without a number is passed over."""
    connection = counted.core.connection()
    for session, numbers in (("s-1", (1, 2, 4, 3, 4, None, 5)), ("s-2", (10, 11, 12))):
        for number in numbers:
            metadata = {"sequence": number} if number is not None else None
            connection.send("x", session=session, metadata=metadata)
    await connection.answers()
    assert counted.values("rlb.sequence.anomalies", "anomaly") == {"gap": 1, "reordered": 1, "duplicate": 1}


async def test_more_than_may_be_open_are_counted_and_not_timed(start: StartCounted, valkey: RedisServer) -> None:
    """There is room again when others have ended; one that was left out is not taken in half-way as a whole one."""
    counted = await start(valkey.url, generation={"max_open": 2})
    connection = counted.core.connection()
    for number in range(3):
        for session in range(4):
            connection.send(str(number), session=f"s-{session}")
    assert counted.value("rlb.generation.untracked") == 2
    assert counted.value("rlb.generation.active") == 2
    for session in range(4):
        connection.send("", session=f"s-{session}", complete="stop")
    await connection.answers()
    assert counted.histogram("rlb.generation.tokens") == (2, 6)
    connection.send("", session="s-9")
    assert counted.value("rlb.generation.active") == 1
    assert counted.value("rlb.generation.untracked") == 2


async def test_the_quietest_generations_come_first(counted: CountedCore) -> None:
    connection = counted.core.connection()
    for number, session in enumerate(("old", "middle", "new")):
        for _ in range(number + 1):
            connection.send("x", session=session)
        await asyncio.sleep(0.05)
    await connection.answers()
    infos = counted.instruments.generations(2)
    assert [(info.session_id, info.tokens, info.state) for info in infos] == [
        ("old", 1, "active"),
        ("middle", 2, "active"),
    ]
    assert infos[0].since_last_token_seconds > infos[1].since_last_token_seconds >= 0
    assert infos[0].tokens_per_second is None


async def test_a_round_of_sweeps_looks_at_all_of_many(
    monkeypatch: pytest.MonkeyPatch, start: StartCounted, valkey: RedisServer
) -> None:
    """More generations than one sweep looks at."""
    monkeypatch.setattr(module, "SWEEP_AT_LEAST", 7)
    counted = await start(valkey.url, generation={"stalled_seconds": 0.1, "abandoned_seconds": 3600})
    connection = counted.core.connection()
    for number in range(100):
        connection.send("x", session=f"s-{number}")
    await eventually(lambda: counted.value("rlb.generation.stalled") == 100)
    await connection.answers()
    leave(counted.core, connection)
    await eventually(lambda: completed(counted) == {"abandoned": 100})
    await eventually(lambda: counted.value("rlb.generation.stalled") == 0)


async def test_sampled_generations_leave_exemplars(counted: CountedCore) -> None:
    """On each of their histograms, with the app's span; an unsampled one leaves none."""
    connection = counted.core.connection()
    requested_at = time.time_ns() // 1_000_000
    connection.send("a", traceparent=TRACEPARENT, requested_at=requested_at)
    connection.send("b")
    connection.send("", complete="stop")
    connection.send("a", session="s-2", traceparent=UNSAMPLED, requested_at=requested_at)
    connection.send("b", session="s-2")
    connection.send("", session="s-2", complete="stop")
    await connection.answers()
    for name in (
        "gen_ai.server.time_to_first_token",
        "gen_ai.server.time_per_output_token",
        "gen_ai.server.request.duration",
        "rlb.token.interval",
        "rlb.generation.tokens",
    ):
        assert counted.histogram(name)[0] == 2
        assert counted.exemplars(name) == {("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")}, name


async def test_models_beyond_the_cap_are_counted_together(start: StartCounted, valkey: RedisServer) -> None:
    """Counters have one cap and histograms another, and nothing is lost in either."""
    counted = await start(valkey.url, limits={"models": 3, "models_histograms": 2})
    connection = counted.core.connection()
    for number in range(5):
        for text in "ab":
            connection.send(text, model=f"m-{number}")
        connection.send("", model=f"m-{number}", complete="stop")
    await connection.answers()
    assert counted.values("rlb.ingest.tokens", "model") == {"m-0": 2, "m-1": 2, "m-2": 2, "other": 4}
    assert counted.values("rlb.generation.completed", "model") == {"m-0": 1, "m-1": 1, "m-2": 1, "other": 2}
    assert counted.histogram("rlb.generation.tokens", model="m-1") == (1, 2)
    assert counted.histogram("rlb.generation.tokens", model="m-2") == (0, 0)
    assert counted.histogram("rlb.generation.tokens", model="other") == (3, 6)
    assert counted.values("rlb.cardinality.overflow", "attribute")["model"] == 2
    assert KEY not in str(list(counted.registry.collect()))
