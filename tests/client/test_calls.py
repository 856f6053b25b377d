"""Every call of the bridge, its answer, and the class of its refusals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from rlb import Bridge, Metadata, Payload, StreamConfig, StreamMessage
from rlb.errors import (
    ConsumerBusyError,
    GroupNotFoundError,
    InvalidIdError,
    InvalidMessageError,
    SettingsError,
    SidecarUnreachableError,
    StreamGoneError,
    StreamNotFoundError,
    TooLargeError,
    WrongTypeError,
)
from tests.client.conftest import OwnSidecar, RunSidecar
from tests.client.streams import eventually, messages_in, tokens_in
from tests.servers.proxy import FaultProxy
from tests.support.http import session

ODD_MODELS = ["meta-llama/Llama-3.1-8B-Instruct", "llama3.1:8b", "a//b", "a/../b", "./x", "a+b=c@d~e", "m" * 256]


async def test_a_token_is_written_once_for_its_message_id(bridge: Bridge, redis: Redis) -> None:
    """A repeated call is answered with the entry of the first, and says so."""
    first = await bridge.produce_token("s", "m", "a", message_id="id-1", temperature=0.5, max_tokens=7, role="user")
    again = await bridge.produce_token("s", "m", "a", message_id="id-1")
    assert (first.sequence, first.message_id, first.durability, first.duplicate) == (1, "id-1", "written", False)
    assert again == type(again)("id-1", first.entry_id, 1, "written", duplicate=True)
    (message,) = await messages_in(redis, "s")
    assert message["metadata"]["temperature"] == 0.5
    assert message["metadata"]["maxTokens"] == 7
    assert message["payload"]["role"] == "user"


async def test_a_lost_answer_is_asked_for_again(shaky: Bridge, proxy: FaultProxy, redis: Redis) -> None:
    """The connection goes between the write and its answer: the call succeeds, and one token stands."""
    proxy.timeout_replies()
    ack = await shaky.produce_token("s", "m", "a")
    assert ack.duplicate
    assert await tokens_in(redis, "s") == ["a"]
    assert proxy.cut_count == 1


async def test_a_call_that_may_do_harm_is_not_repeated(shaky: Bridge, proxy: FaultProxy) -> None:
    """Where a second answer would say something else, the lost one is told."""
    await shaky.produce_token("s", "m", "a")
    proxy.timeout_replies()
    with pytest.raises(SidecarUnreachableError, match="closed"):
        await shaky.trim_stream("s", "m", max_length=0)
    assert await shaky.trim_stream("s", "m", max_length=0) == 0


async def test_a_deleted_stream_is_gone(bridge: Bridge) -> None:
    """Deleting it again tells it from one that never was."""
    await bridge.produce_token("s", "m", "a")
    await bridge.delete_stream("s", "m")
    with pytest.raises(StreamGoneError):
        await bridge.delete_stream("s", "m")


async def test_calls_wait_out_a_restart(own_sidecar: OwnSidecar) -> None:
    """A call in the moment of a restart is answered by the next sidecar; a sidecar that stays away is an error."""
    sidecar = own_sidecar()
    async with Bridge(sidecar.path) as bridge:
        await bridge.produce_token("s", "m", "a")
        await asyncio.to_thread(sidecar.kill)
        calling = asyncio.create_task(bridge.produce_token("s", "m", "b"))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(sidecar.start)
        assert (await calling).sequence == 2
    async with Bridge(sidecar.path, patience_s=0.3) as bridge:
        await bridge.ready()
        await asyncio.to_thread(sidecar.kill)
        with pytest.raises(SidecarUnreachableError, match=str(sidecar.path)):
            await bridge.produce_token("s", "m", "c")


async def test_a_frozen_sidecar_is_told_after_the_timeout(own_sidecar: OwnSidecar) -> None:
    """An answer that does not come is an error after `timeout_s`, not a wait for ever."""
    sidecar = own_sidecar()
    async with Bridge(sidecar.path, timeout_s=2.0) as bridge:
        await bridge.ready()
        sidecar.pause()
        async with asyncio.timeout(15):
            with pytest.raises(SidecarUnreachableError, match="too long"):
                await bridge.stream_info("s", "m")
        sidecar.resume()


async def test_a_whole_message_is_written(bridge: Bridge, redis: Redis) -> None:
    """AddMessage keeps what the app says, members beyond the guide's too, and assigns the sequence."""
    metadata = Metadata(timestamp=5, sequence=99, is_complete=True, model="other", more="kept")  # type: ignore[call-arg]
    payload = Payload(content="text", role="user", finish_reason="length")
    ack = await bridge.add_message(
        StreamMessage(id="id-1", session_id="s", model_id="m", token="t", metadata=metadata, payload=payload)
    )
    assert (ack.message_id, ack.sequence) == ("id-1", 1)
    (message,) = await messages_in(redis, "s")
    assert message["metadata"] == {
        "timestamp": 5,
        "sequence": 1,
        "isComplete": True,
        "model": "other",
        "more": "kept",
    }
    assert message["payload"] == {"content": "text", "role": "user", "finishReason": "length"}


@pytest.mark.parametrize("model_id", ODD_MODELS)
async def test_model_ids_reach_their_own_stream(bridge: Bridge, model_id: str) -> None:
    """Slashes, dots and signs of a model id mean nothing to the path: every call finds the same stream."""
    await bridge.produce_token("s", model_id, "a")
    await bridge.mark_complete("s", model_id, "length")
    info = await bridge.stream_info("s", model_id)
    assert (info.model_id, info.length, info.complete) == (model_id, 2, True)
    assert [message.token async for message in bridge.tail("s", model_id)] == ["a", ""]
    await bridge.delete_stream("s", model_id)
    assert (await bridge.streams(model_id=model_id)).streams == ()


async def test_streams_are_made_listed_trimmed_and_deleted(bridge: Bridge) -> None:
    """Management goes by the bridge as well."""
    assert await bridge.create_stream("made", "m", StreamConfig(max_length=50, retention_ms=60_000, consumer_group="g"))
    assert not await bridge.create_stream("made", "m")
    info = await bridge.stream_info("made", "m")
    assert (info.max_length, info.retention_ms, [group.group for group in info.groups]) == (50, 60_000, ["g"])
    for number in range(3):
        for _ in range(number + 1):
            await bridge.produce_token(f"s-{number}", "m", "a")
    page = await bridge.streams(sort="length", limit=2)
    assert [stream.session_id for stream in page.streams] == ["s-2", "s-1"]
    assert page.next_cursor is not None
    rest = await bridge.streams(sort="length", limit=2, cursor=page.next_cursor)
    assert [stream.session_id for stream in rest.streams] == ["s-0", "made"]
    assert rest.next_cursor is None
    assert await bridge.trim_stream("s-2", "m", max_length=0) == 3
    assert await bridge.trim_stream("s-1", "m", older_than_ms=3_600_000) == 0
    await bridge.delete_stream("s-0", "m")
    with pytest.raises(StreamNotFoundError):
        await bridge.delete_stream("never", "m")


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


async def test_changes_whose_answer_is_lost_are_not_repeated(shaky: Bridge, proxy: FaultProxy) -> None:
    """A second answer would say that there was nothing to do."""
    await shaky.create_group("s", "m", "g")
    for change in (
        lambda: shaky.claim("s", "m", "g", "c", ["1-1"]),
        lambda: shaky.bury("s", "m", "g", ["1-1"]),
        lambda: shaky.remove_consumer("s", "m", "g", "c"),
    ):
        proxy.timeout_replies()
        with pytest.raises(SidecarUnreachableError, match="closed"):
            await change()


async def test_refusals_are_exceptions_of_their_class(bridge: Bridge, redis: Redis) -> None:
    """The code of a problem document decides; its detail is the text, its further members are kept."""
    with pytest.raises(StreamNotFoundError) as refused:
        await bridge.stream_info("never", "m")
    assert refused.value.members["requestId"]
    with pytest.raises(InvalidMessageError, match="sessionId"):
        await bridge.produce_token("not:allowed", "m", "a")
    with pytest.raises(InvalidIdError):
        await bridge.create_group("s", "m", "g", start="yesterday")
    await bridge.produce_token("s", "m", "a")
    with pytest.raises(GroupNotFoundError):
        await bridge.read_messages("s", "m", "nobody", "c")
    with pytest.raises(TooLargeError):
        await bridge.produce_token("s", "m", "x" * 1_100_000)
    await redis.set("llm:stream:string:m", "a")
    with pytest.raises(WrongTypeError):
        await bridge.produce_token("string", "m", "a")


EVENTS = [
    b'data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n',
    b'data: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"lo"}}]}\n\nda',
    b'ta: {"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}\n\n',
    b"data: [DONE]\n\n",
]


async def test_an_answer_is_relayed_as_it_streams(bridge: Bridge, redis: Redis) -> None:
    """The chunks of a model server become the messages of a generation, with its finish reason."""

    async def events() -> AsyncIterator[bytes]:
        for piece in EVENTS:
            yield piece
            await asyncio.sleep(0.01)

    relayed = await bridge.relay("s", "m", events())
    messages = await messages_in(redis, "s")
    assert "".join(message["token"] for message in messages) == "Hello"
    assert messages[-1]["payload"]["finishReason"] == "length"
    assert relayed.messages == len(messages)
    assert relayed.last_ack is not None
    assert relayed.last_ack.sequence == len(messages)


async def test_a_relayed_answer_belongs_to_its_request(bridge: Bridge, sidecar: Path, redis: Redis) -> None:
    """To the span that asked for it, and to the time when it did, from which the wait for its first token counts."""

    async def events() -> AsyncIterator[bytes]:
        for piece in EVENTS:
            yield piece

    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await bridge.relay("s", "m", events(), traceparent=traceparent, requested_at=time.time_ns() // 1_000_000 - 1500)
    _, fields = (await redis.xrange("llm:stream:s:m"))[0]
    assert fields[b"traceparent"].decode() == traceparent
    async with session(sidecar) as http, http.get("/metrics") as response:
        metrics = await response.text()
    assert 'gen_ai_server_time_to_first_token_seconds_count{gen_ai_operation_name="chat"' in metrics


async def test_a_relayed_answer_that_breaks_off_ends_with_error(bridge: Bridge, redis: Redis) -> None:
    """The app gets the model server's own exception, readers an end."""

    async def events() -> AsyncIterator[bytes]:
        yield EVENTS[0]
        await asyncio.sleep(0.05)
        raise ConnectionAbortedError("the model server has gone")

    with pytest.raises(ConnectionAbortedError, match="model server"):
        await bridge.relay("s", "m", events())
    await eventually(lambda: is_ended_with_error(redis))


async def is_ended_with_error(redis: Redis) -> bool:
    messages = await messages_in(redis, "s")
    return bool(messages) and messages[-1]["payload"].get("finishReason") == "error"


async def test_the_sidecar_tells_how_it_is(bridge: Bridge) -> None:
    """Health names every component; ready and waiting for it say yes."""
    await bridge.wait_until_ready(10, redis=True)
    assert await bridge.ready()
    health = await bridge.health()
    assert health.is_ok
    assert {"redis", "socket"} <= {component.name for component in health.components}


async def test_a_sidecar_that_starts_later_is_waited_for(run_sidecar: RunSidecar, short_tmp: Path) -> None:
    """An app that starts first waits for its sidecar, within a limit."""
    async with Bridge(short_tmp / "rlb-1.sock") as bridge:
        with pytest.raises(SidecarUnreachableError):
            await bridge.wait_until_ready(0.2)
        waiting = asyncio.create_task(bridge.wait_until_ready(10))
        await asyncio.sleep(0.2)
        await run_sidecar()
        await waiting


async def test_the_socket_is_found_where_the_settings_say(sidecar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the path is that of RLB_SOCKET__PATH; a bad one is refused by name."""
    monkeypatch.setenv("RLB_SOCKET__PATH", str(sidecar))
    async with Bridge() as bridge:
        assert await bridge.ready()
    monkeypatch.setenv("RLB_SOCKET__PATH", "/" + "x" * 200)
    with pytest.raises(SettingsError, match="RLB_SOCKET__PATH"):
        Bridge()


async def test_a_bridge_works_inside_of_its_block_only(sidecar: Path) -> None:
    """Before and after it, and when it is entered twice, the error says what to do."""
    bridge = Bridge(sidecar)
    with pytest.raises(RuntimeError, match="async with Bridge"):
        await bridge.ready()
    async with bridge:
        assert await bridge.ready()
        with pytest.raises(RuntimeError, match="open already"):
            await bridge.__aenter__()
    with pytest.raises(RuntimeError, match="async with Bridge"):
        bridge.tail("s", "m")
    async with bridge:
        assert await bridge.ready()
