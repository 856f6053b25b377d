"""NDJSON in both directions at once: acks while the request goes on, in order, line by line, whatever a line holds."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis

from rlb.errors import BY_CODE
from tests.support.http import KEY, NDJSON, STREAM, Conversation, M, lines, problem, session, token
from tests.support.sidecar import RunningSidecar, StartSidecar

POST = b"POST /v1/tokens HTTP/1.1\r\nHost: rlb\r\nContent-Type: application/x-ndjson\r\n"


Answers = list[dict[str, Any]]


async def post(http: aiohttp.ClientSession, *bodies: Any, path: str = "/v1/tokens", **params: str) -> Answers:
    """All answers to lines that are sent at once."""
    body, headers = lines(list(bodies)), {"Content-Type": NDJSON}
    async with http.post(path, data=body, headers=headers, params=params) as response:
        assert (response.status, response.content_type) == (200, NDJSON)
        return [json.loads(line) for line in (await response.read()).splitlines()]


def codes(answers: Answers) -> list[str | None]:
    return [answer["error"]["code"] if "error" in answer else None for answer in answers]


def of(model: str, number: int, **more: Any) -> dict[str, Any]:
    return {"sessionId": "s", "modelId": model, "token": f"{number}", "ref": f"{model}/{number}"} | more


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_acks_come_while_the_request_goes_on(start_sidecar: StartSidecar, loop: str) -> None:
    """The response begins with the request, and each line has its ack before the next line is written."""
    async with (
        session(start_sidecar(loop=loop).path) as http,
        Conversation(http, "/v1/tokens") as conversation,
    ):
        assert (conversation.response.status, conversation.response.content_type) == (200, NDJSON)
        for number in range(1, 20):
            conversation.say(token(ref=number))
            ack = await conversation.hear()
            assert set(ack) == {"ref", "messageId", "entryId", "sequence", "durability"}
            assert (ack["ref"], ack["sequence"], ack["durability"]) == (number, number, "written")
        conversation.finish()
        assert await conversation.rest() == []


def test_the_response_begins_before_any_line(sidecar: RunningSidecar) -> None:
    """An app that waits for the status before it has its first token is not kept waiting."""
    with sidecar.connect() as client:
        client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        assert client.receive_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_lines_need_no_order_with_chunks(sidecar: RunningSidecar) -> None:
    """A line may be spread over chunks, and a chunk may hold many lines; with a length it is the same."""
    body = lines([token(ref=1), token(ref=2)])
    with sidecar.connect() as client:
        client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        client.receive_until(b"\r\n\r\n")
        client.send(b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        answer = client.receive_until(b"0\r\n\r\n")
        assert [json.loads(line)["ref"] for line in answer.splitlines() if line.startswith(b"{")] == [1, 2, 1, 2]
        client.send(POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        assert [json.loads(line)["sequence"] for line in client.response().body.splitlines()] == [5, 6]


async def test_many_generations_on_one_connection(http: aiohttp.ClientSession, redis: Redis) -> None:
    """Lines of many streams, mixed at random, are acked in the order of the lines and numbered stream by stream."""
    draw = random.Random(2)
    models = [f"org/model-{number}:8b" for number in range(40)]
    counts = dict.fromkeys(models, 0)
    said = []
    for _ in range(2000):
        model = draw.choice(models)
        counts[model] += 1
        said.append(of(model, counts[model], open=counts[model] == 1))
    answers = await post(http, *said)
    assert [answer["ref"] for answer in answers] == [line["ref"] for line in said]
    assert [f"{answer['sequence']}" for answer in answers] == [line["token"] for line in said]
    for model, count in counts.items():
        rows: Any = await redis.xrange(f"llm:stream:s:{model}")
        messages = [json.loads(fields[b"data"]) for _, fields in rows]
        assert [message["token"] for message in messages] == [f"{number}" for number in range(1, count + 1)]
        assert [message["metadata"]["sequence"] for message in messages] == list(range(1, count + 1))


BAD: list[tuple[Any, str, Any]] = [
    (b"{", "invalid_json", None),
    (b"\xff\xfe", "invalid_json", None),
    (b"[" * 4000, "invalid_json", None),
    (b"[]", "invalid_message", None),
    (b"null", "invalid_message", None),
    ({"ref": "a"}, "invalid_message", "a"),
    (token(ref=7, role="robot"), "invalid_message", 7),
    (token(ref="b", nonsense=1), "invalid_message", "b"),
    (token(ref="c" * 129), "invalid_message", None),
    (token(ref={"no": "ref"}), "invalid_message", None),
    ({"sessionId": "a:b", "modelId": M, "token": "x", "ref": "d"}, "invalid_message", "d"),
    (token(ref="e", token="x" * 5000), "too_large", None),
]


@pytest.mark.parametrize(("bad", "code", "ref"), BAD, ids=range(len(BAD)))
async def test_a_bad_line_does_not_end_the_stream(start_sidecar: StartSidecar, bad: Any, code: str, ref: Any) -> None:
    """A line that is refused has its error in its place, with its ref where that can be read; the others go on."""
    sidecar = start_sidecar(socket={"max_message_bytes": 4096})
    async with session(sidecar.path) as http:
        answers = await post(http, token(ref=1), bad, token(ref=2), bad, token(ref=3))
    assert codes(answers) == [None, code, None, code, None]
    assert [answer.get("ref") for answer in answers] == [1, ref, 2, ref, 3]
    assert [answers[place]["sequence"] for place in (0, 2, 4)] == [1, 2, 3]
    for place in (1, 3):
        assert set(answers[place]) == ({"error"} if ref is None else {"ref", "error"})
        assert set(answers[place]["error"]) == {"code", "detail"}


async def test_blank_lines_and_the_last_one(http: aiohttp.ClientSession) -> None:
    """Blank lines have no answer; a line may end with CR LF, and the last one may lack its end."""
    body = b"\n\r\n  \n" + json.dumps(token(ref=1)).encode() + b"\r\n\n" + json.dumps(token(ref=2)).encode()
    async with http.post("/v1/tokens", data=body, headers={"Content-Type": f"{NDJSON}; charset=utf-8"}) as response:
        assert [json.loads(line)["ref"] for line in (await response.read()).splitlines()] == [1, 2]


async def test_nothing_said(http: aiohttp.ClientSession) -> None:
    """A request without a line is answered without a line."""
    assert await post(http) == []


@pytest.mark.parametrize("ref", ["", "r" * 128, 'quote " \\ \n\t', "höchst \u2028 😀", 0, -1, 2**63, 10**30])
async def test_ref_comes_back_as_it_was(http: aiohttp.ClientSession, ref: str | int) -> None:
    """Text or number, of acks and of errors."""
    answers = await post(http, token(ref=ref), token(ref=ref, role="robot"))
    assert codes(answers) == [None, "invalid_message"]
    assert [answer["ref"] for answer in answers] == [ref, ref]


async def test_generations_end_by_line(http: aiohttp.ClientSession, redis: Redis) -> None:
    """`complete` on a line ends its generation; the next line for the stream is another one."""
    answers = await post(http, token("a"), token("", complete="length"), token("b"), {**STREAM, "complete": "stop"})
    assert [answer["sequence"] for answer in answers] == [1, 2, 3, 4]
    rows: Any = await redis.xrange(KEY)
    reasons = [json.loads(fields[b"data"])["payload"].get("finishReason") for _, fields in rows]
    assert reasons == [None, "length", None, "stop"]


async def test_repeated_message_ids(http: aiohttp.ClientSession, redis: Redis) -> None:
    """A line that repeats another's message id is acked with that one's entry, also while that is on its way."""
    answers = await post(http, token(messageId="m"), token(), token(messageId="m", ref="again"))
    assert answers[2] == answers[0] | {"ref": "again", "duplicate": True}
    assert "duplicate" not in answers[0]
    assert await redis.xlen(KEY) == 2


async def test_a_new_producer_fences_the_old(http: aiohttp.ClientSession, redis: Redis) -> None:
    """Who begins a generation on a stream takes it over; the one before is told at each line until it opens anew."""
    async with Conversation(http, "/v1/tokens") as old, Conversation(http, "/v1/tokens") as new:
        old.say(token("old", ref=1))
        assert (await old.hear())["sequence"] == 1
        new.say(token("new", ref=2))
        assert (await new.hear())["sequence"] == 2
        old.say(token("old", ref=3), of("other", 1), token("old", ref=4))
        heard = [await old.hear() for _ in range(3)]
        assert codes(heard) == ["fenced", None, "fenced"]
        assert [answer["ref"] for answer in heard] == [3, "other/1", 4]
        old.say(token("anew", ref=5, open=True))
        assert (await old.hear())["sequence"] == 3
        new.say(token("new", ref=6))
        assert codes([await new.hear()]) == ["fenced"]
    rows: Any = await redis.xrange(KEY)
    assert [json.loads(fields[b"data"])["token"] for _, fields in rows] == ["old", "new", "anew"]


async def test_shared_producers_do_not_fence(http: aiohttp.ClientSession, redis: Redis) -> None:
    """Producers that say so write one stream side by side."""
    url = "/v1/tokens"
    async with Conversation(http, url, shared="true") as one, Conversation(http, url, shared="true") as two:
        for sequence in range(1, 9, 2):
            for place, producer in enumerate((one, two)):
                producer.say(token())
                assert (await producer.hear())["sequence"] == sequence + place
    assert await redis.xlen(KEY) == 8


async def test_a_failed_write_ends_its_generation_only(http: aiohttp.ClientSession, redis: Redis) -> None:
    """After a refusal the rest of that generation is refused alike, until it opens anew; others go on."""
    await redis.set(KEY, "not a stream")
    async with Conversation(http, "/v1/tokens") as conversation:
        conversation.say(token(ref=1), of("m", 1), token(ref=2))
        assert codes([await conversation.hear() for _ in range(3)]) == ["wrong_type", None, "wrong_type"]
        await redis.delete(KEY)
        conversation.say(token(ref=3))
        assert codes([await conversation.hear()]) == ["wrong_type"]
        conversation.say(token(ref=4, open=True), of("m", 2))
        assert [answer["sequence"] for answer in [await conversation.hear(), await conversation.hear()]] == [1, 2]


async def test_messages_as_lines(http: aiohttp.ClientSession, redis: Redis) -> None:
    """Whole messages come as lines too, with ref and durability beside the guide's members."""
    message = {
        **STREAM,
        "token": "hi",
        "metadata": {"timestamp": 1, "sequence": 0, "isComplete": False, "model": M},
        "payload": {"content": "hi", "role": "system"},
    }
    answers = await post(
        http,
        message | {"id": "a", "ref": 1},
        message | {"ref": 2},
        message | {"id": "a", "ref": 3},
        path="/v1/messages",
    )
    assert codes(answers) == [None, "invalid_message", None]
    assert [answer.get("messageId") for answer in answers] == ["a", None, "a"]
    assert [answer.get("duplicate") for answer in answers] == [None, None, True]
    assert await redis.xlen(KEY) == 1


async def test_stronger_durability_by_line(http: aiohttp.ClientSession) -> None:
    """A line that waits for replicas that are not there is acked as written, in its place."""
    answers = await post(http, token(ref=1, durability="replicated"), token(ref=2))
    assert [(answer["ref"], answer["durability"]) for answer in answers] == [(1, "written"), (2, "written")]


async def test_a_half_sent_line_has_a_deadline(start_sidecar: StartSidecar) -> None:
    """A producer may keep still between lines for as long as it likes, but not within one."""
    sidecar = start_sidecar(socket={"body_timeout_s": 0.5})
    async with session(sidecar.path) as http, Conversation(http, "/v1/tokens") as conversation:
        conversation.say(token(ref=1))
        await conversation.hear()
        await asyncio.sleep(1.0)
        conversation.say(token(ref=2))
        assert (await conversation.hear())["ref"] == 2
        conversation.send(b'{"sessionId": "s-1", "tok')
        assert codes(await conversation.rest()) == ["request_timeout"]


async def test_redis_away_for_a_moment(own_server: Any, start_sidecar: StartSidecar) -> None:
    """Lines that come while Redis is away wait for it; past the deadline they are refused, and so is their rest."""
    server = own_server()
    sidecar = start_sidecar(url=server.url, append={"deadline_ms": 3000})
    async with session(sidecar.path) as http, Conversation(http, "/v1/tokens") as conversation:
        conversation.say(token(ref=1))
        assert (await conversation.hear())["sequence"] == 1
        server.kill()
        conversation.say(*(of("m", number) for number in range(1, 4)))
        await asyncio.sleep(0.2)
        server.start()
        assert [(await conversation.hear())["sequence"] for _ in range(3)] == [1, 2, 3]
        server.kill()
        conversation.say(*(of("m", number) for number in range(4, 7)))
        heard = [await conversation.hear() for _ in range(3)]
        assert codes(heard) == ["redis_unavailable"] * 3
        assert [answer["ref"] for answer in heard] == ["m/4", "m/5", "m/6"]
        assert BY_CODE["redis_unavailable"].status == 503


async def test_flags_are_checked_before_the_response_begins(http: aiohttp.ClientSession) -> None:
    """What is wrong with the request as a whole is a problem document, not a line."""
    async with http.post("/v1/tokens?shared=maybe", data=b"", headers={"Content-Type": NDJSON}) as response:
        await problem(response, 400, "invalid_message")
