"""How generations end: complete, abandoned, opened anew, or taken over by a rival, each of them once."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import Any

import pytest

from rlb.telemetry.generations import Tracked
from tests.conftest import OwnServer
from tests.servers.process import RedisServer
from tests.support.assertions import eventually
from tests.support.tokens import M
from tests.telemetry.counted import CountedCore, StartCounted, completed, leave

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
QUICK = {"stalled_seconds": 0.3, "abandoned_seconds": 60}


async def test_a_killed_app_leaves_an_abandoned_generation(start: StartCounted, valkey: RedisServer) -> None:
    """As soon as it would count as stalled; the one that its other connection goes on with is not touched."""
    counted = await start(valkey.url, generation=QUICK)
    killed, other = counted.core.connection(), counted.core.connection()
    killed.send("a", session="killed")
    killed.send("b", session="killed")
    await killed.answers()
    other.send("a", session="other")
    await other.answers()
    leave(counted.core, killed)
    assert completed(counted) == {}
    await eventually(lambda: completed(counted) == {"abandoned": 1})
    assert counted.value("rlb.generation.active", model=M) == 1
    assert counted.histogram("rlb.generation.tokens") == (1, 2)
    assert counted.histogram("gen_ai.server.request.duration", error__type="abandoned")[0] == 1
    assert counted.histogram("gen_ai.server.time_per_output_token") == (0, 0)
    await eventually(lambda: counted.value("rlb.generation.stalled", model=M) == 1)
    (info,) = counted.instruments.generations(10)
    assert (info.session_id, info.model_id, info.tokens, info.state) == ("other", M, 1, "stalled")
    assert info.since_last_token_seconds >= 0.3

    def goes_on() -> bool:
        other.send("b", session="other")
        state = counted.instruments.generations(10)[0].state
        return state == "active" and counted.value("rlb.generation.stalled", model=M) == 0

    await eventually(goes_on)


async def test_long_silence_is_abandoned_and_what_comes_later_is_not_timed_as_whole(
    start: StartCounted, valkey: RedisServer
) -> None:
    """The connection is still there, and writes on after it was given up."""
    counted = await start(valkey.url, generation={"stalled_seconds": 0.1, "abandoned_seconds": 0.3})
    connection = counted.core.connection()
    connection.send("a")
    await eventually(lambda: completed(counted) == {"abandoned": 1})
    connection.send("b")
    connection.send("", complete="stop")
    await connection.answers()
    assert completed(counted) == {"abandoned": 1, "stop": 1}
    # How many tokens the second half has says nothing of the whole.
    assert counted.histogram("rlb.generation.tokens") == (1, 1)
    assert counted.histogram("gen_ai.server.request.duration", error__type=None)[0] == 0


async def test_a_generation_that_another_connection_takes_up_is_one(counted: CountedCore) -> None:
    """As our client does when its connection is lost: it sends again what has no answer, and goes on."""
    before, after = counted.core.connection(), counted.core.connection()
    before.send("a", message_id="g-1")
    before.send("b", message_id="g-2")
    await before.answers()
    leave(counted.core, before)
    after.send("b", message_id="g-2", opens=True)
    after.send("c", message_id="g-3")
    after.send("", message_id="g-4", complete="stop")
    answers = await after.answers()
    assert [ticket.duplicate for ticket in answers] == [True, False, False]
    assert completed(counted) == {"stop": 1}
    assert counted.histogram("rlb.generation.tokens") == (1, 3)
    assert counted.values("rlb.sequence.anomalies", "anomaly") == {"duplicate": 1}


async def test_a_new_request_on_the_same_stream_is_another_generation(counted: CountedCore) -> None:
    """Its connection was lost like before, but the app says that it was asked for something else."""
    before, after = counted.core.connection(), counted.core.connection()
    now_ms = time.time_ns() // 1_000_000
    before.send("a", requested_at=now_ms - 2000)
    await before.answers()
    leave(counted.core, before)
    after.send("A", requested_at=now_ms)
    after.send("", complete="stop")
    await after.answers()
    assert completed(counted) == {"abandoned": 1, "stop": 1}
    assert counted.histogram("gen_ai.server.time_to_first_token")[0] == 2


async def test_opening_anew_gives_up_what_was_open(counted: CountedCore) -> None:
    connection = counted.core.connection()
    connection.send("a")
    connection.send("A", opens=True)
    connection.send("", complete="stop")
    await connection.answers()
    assert completed(counted) == {"abandoned": 1, "stop": 1}


async def test_shared_streams_have_one_generation(counted: CountedCore) -> None:
    """Two connections that write together."""
    one, other = counted.core.connection(fences=False), counted.core.connection(fences=False)
    one.send("a")
    other.send("b")
    one.send("c")
    other.send("", complete="stop")
    await one.answers()
    await other.answers()
    assert completed(counted) == {"stop": 1}
    assert counted.histogram("rlb.generation.tokens") == (1, 3)


async def test_a_rival_in_the_same_sidecar_ends_it_with_error(counted: CountedCore) -> None:
    """The overtaken generation has failed, although none of its messages has."""
    one, rival = counted.core.connection(), counted.core.connection()
    one.send("a")
    await one.answers()
    rival.send("A")
    await rival.answers()
    assert completed(counted) == {"error": 1}
    assert counted.value("rlb.generation.active") == 1
    one.send("b", complete="stop")
    await one.answers()
    rival.send("", complete="stop")
    await rival.answers()
    assert completed(counted) == {"error": 1, "stop": 1}
    assert counted.values("messaging.client.sent.messages", "error.type") == {None: 3, "fenced": 1}


async def test_a_rival_elsewhere_ends_it_with_error(start: StartCounted, valkey: RedisServer) -> None:
    """Another sidecar takes the stream over: found out by the next token, which is refused."""
    mine, theirs = await start(valkey.url), await start(valkey.url)
    one, rival = mine.core.connection(), theirs.core.connection()
    one.send("a")
    await one.answers()
    rival.send("A")
    await rival.answers()
    one.send("b")
    one.send("c")
    await one.answers()
    assert completed(mine) == {"error": 1}
    assert mine.values("messaging.client.sent.messages", "error.type") == {None: 1, "fenced": 2}
    assert mine.values("rlb.write.dropped", "reason") == {"refused": 2}
    assert completed(theirs) == {}
    assert theirs.value("rlb.generation.active") == 1


async def test_a_failed_write_ends_it_with_error(start: StartCounted, own_server: OwnServer) -> None:
    """Redis has gone for longer than messages may wait: of a connection, and of calls on their own."""
    server = own_server()
    counted = await start(server.url, append={"deadline_ms": 2500})
    connection = counted.core.connection()
    connection.send("a", session="s-1")
    connection.send("a", session="s-2")
    await connection.answers()
    await counted.core.write("a", session="s-3")
    server.stop()
    await eventually(lambda: not counted.core.topology.main.is_up)
    connection.send("b", session="s-1")
    connection.send("", session="s-2", complete="stop")
    await connection.answers()
    with pytest.raises(Exception, match="not written in time"):
        await counted.core.write("b", session="s-3")
    assert completed(counted) == {"error": 3}
    assert counted.value("rlb.generation.active") == 0
    assert counted.values("messaging.client.sent.messages", "error.type") == {None: 3, "redis_unavailable": 3}
    assert counted.values("rlb.write.dropped", "reason") == {"retry_exhausted": 3}


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_every_generation_ends_once(seed: int, start: StartCounted, valkey: RedisServer) -> None:
    """Rivals, repeats, new openings, connections that go: what has begun is counted as ended, and no more is."""
    counted = await start(valkey.url, generation={"stalled_seconds": 0.2, "abandoned_seconds": 0.5})
    generations, random = counted.instruments._generations, Random(seed)
    began: list[Tracked] = []
    begin = generations._begin

    def noting(*arguments: Any) -> Tracked | None:
        generation = begin(*arguments)
        if generation is not None and generation not in began:
            began.append(generation)
        return generation

    generations._begin = noting  # type: ignore[method-assign]
    connections = [counted.core.connection(fences=random.random() < 0.7) for _ in range(4)]
    everyone = list(connections)
    for number in range(600):
        at = random.randrange(len(connections))
        session, complete = f"s-{random.randrange(3)}", random.choice([None] * 5 + ["stop", "error"])
        message_id = f"m-{random.randrange(number + 1)}" if random.random() < 0.5 else None
        more: dict[str, Any] = {"session": session, "complete": complete, "message_id": message_id}
        connections[at].send(random.choice(("x", "")), opens=random.random() < 0.1, **more)
        if random.random() < 0.05:
            leave(counted.core, connections[at])
            connections[at] = counted.core.connection(fences=random.random() < 0.7)
            everyone.append(connections[at])
        if random.random() < 0.3:
            await asyncio.sleep(random.choice((0, 0.001)))
    for connection in everyone:
        await connection.answers()
        leave(counted.core, connection)
    await eventually(lambda: not generations.open)
    assert generations._ending == {}
    assert len(began) > 20
    assert sum(completed(counted).values()) == len(began)
    assert counted.value("rlb.generation.active") == 0
    whole = [generation for generation in began if generation.is_whole]
    assert counted.histogram("rlb.generation.tokens") == (len(whole), sum(each.tokens for each in whole))
    tickets = [ticket for connection in everyone for ticket in connection.sent]
    failed = sum(ticket.error is not None for ticket in tickets)
    repeated = sum(ticket.duplicate and ticket.error is None for ticket in tickets)
    sent = counted.values("messaging.client.sent.messages", "error.type")
    assert sent.pop(None) == len(tickets) - failed - repeated
    assert sum(sent.values()) == failed
    assert counted.values("rlb.sequence.anomalies", "anomaly").get("duplicate", 0) == repeated
    assert counted.value("rlb.ingest.tokens") == sum(ticket.draft.tokens for ticket in tickets)
