"""The protocol against real sockets: what passes, and what an app that fails looks like."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from typing import Any

import aiohttp
import pytest

from rlb.api.http_protocol import MAX_PIPELINED
from tests.api.served import CHUNKED, POST, Serve, duplex, eventually


def test_bodies_with_length_and_in_chunks(serve: Serve) -> None:
    """Both ways to say where a body ends work, one after the other on one connection."""
    with serve() as served, served.connect() as client:
        client.send(POST + b"Content-Length: 5\r\n\r\nhello")
        assert json.loads(client.response().body)["body"] == "hello"
        client.send(CHUNKED + b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n")
        assert json.loads(client.response().body)["body"] == "hello"
        client.send(POST + b"Content-Length: 0\r\n\r\n")
        assert json.loads(client.response().body)["body"] == ""
        assert eventually(lambda: served.server.total_requests == 3)
        assert served.refusals() == {}


def test_request_byte_by_byte(serve: Serve) -> None:
    """How the bytes are cut into reads makes no difference."""
    with serve() as served, served.connect() as client:
        for byte in POST + b"X-Answer: 42\r\nContent-Length: 2\r\n\r\nhi":
            client.send(bytes([byte]))
        seen = json.loads(client.response().body)
        assert (seen["method"], seen["body"]) == ("POST", "hi")
        assert ["x-answer", "42"] in seen["headers"]


def test_paths_are_decoded(serve: Serve) -> None:
    """The path comes decoded, the query as it was."""
    with serve() as served, served.connect() as client:
        client.get("/v1/streams/s-1/meta-llama%2FLlama%20%C3%A9?from=0%24")
        seen = json.loads(client.response().body)
        assert (seen["path"], seen["query"]) == ("/v1/streams/s-1/meta-llama/Llama é", "from=0%24")


def test_full_duplex(serve: Serve) -> None:
    """Response bytes arrive while the body of the request is still open, a thousand turns long."""
    with serve(duplex) as served, served.connect() as client:
        client.send(CHUNKED)
        client.receive_until(b"\r\n\r\n")
        for turn in range(1000):
            line = b'{"n":%d}\n' % turn
            client.send(b"%x\r\n%s\r\n" % (len(line), line))
            assert client.receive_until(line + b"\r\n") == b"%x\r\n%s\r\n" % (len(line), line)
        client.send(b"0\r\n\r\n")
        assert client.receive_until(b"0\r\n\r\n") == b"0\r\n\r\n"
        client.send(CHUNKED + b"0\r\n\r\n")
        assert client.response().status == 200


async def test_full_duplex_with_an_http_client(serve: Serve) -> None:
    """The same with aiohttp: each piece is answered before the next one is made."""
    with serve(duplex) as served:
        answered: list[bytes] = []
        turn = asyncio.Semaphore(1)

        async def pieces() -> Any:
            for number in range(100):
                await turn.acquire()
                yield b"%d\n" % number

        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(served.path))) as session,
            session.post("http://rlb/", data=pieces()) as response,
        ):
            async for line in response.content:
                answered.append(line)
                turn.release()
        assert answered == [b"%d\n" % number for number in range(100)]


def test_big_body_is_taken_no_faster_than_the_app_reads(serve: Serve) -> None:
    """While the app does not read, the client is made to wait: the server holds no more than one read and a bit."""
    may_read = threading.Event()
    total = 0

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        nonlocal total
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not may_read.is_set():
            await asyncio.sleep(0.005)
        more = True
        while more:
            message = await receive()
            total += len(message["body"])
            more = message["more_body"]
        await send({"type": "http.response.body", "body": b""})

    size = 8 << 20
    with serve(slow) as served, served.connect() as client:
        client.send(POST + b"Content-Length: %d\r\n\r\n" % size)
        client.socket.setblocking(False)
        sent = 0
        stuck_since_s = time.monotonic()
        while sent < size and time.monotonic() - stuck_since_s < 0.3:
            try:
                sent += client.socket.send(bytes(65536)[: size - sent])
                stuck_since_s = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        assert sent < 2 << 20
        may_read.set()
        client.socket.setblocking(True)
        client.send(bytes(size - sent))
        assert client.response().status == 200
        assert total == size
        assert served.refusals() == {}


def test_expect_continue(serve: Serve) -> None:
    """A client that asks first is told to go on."""
    with serve() as served, served.connect() as client:
        client.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.receive_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hi")
        assert json.loads(client.response().body)["body"] == "hi"


def test_trailers_do_not_pass_for_headers(serve: Serve) -> None:
    """A field behind the body cannot add to what the app was told before it."""
    with serve() as served, served.connect() as client:
        client.send(CHUNKED + b"2\r\nhi\r\n0\r\nX-Admin: yes\r\n\r\n")
        seen = json.loads(client.response().body)
        assert seen["headers"] == [["host", "rlb"], ["transfer-encoding", "chunked"]]


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    """Requests sent without waiting are answered one after the other."""
    with serve() as served, served.connect() as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % n for n in range(MAX_PIPELINED)))
        client.send(b"GET /last HTTP/1.1\r\nConnection: close\r\n\r\n")
        answers = client.rest()
        asked = [json.loads(part.split(b"\r\n\r\n")[1])["path"] for part in answers.split(b"HTTP/1.1 200 OK\r\n")[1:]]
        assert asked == [*(f"/{n}" for n in range(MAX_PIPELINED)), "/last"]


def test_offer_of_another_protocol_is_passed_over(serve: Serve) -> None:
    """Some clients offer HTTP/2 with their first request: it is answered, and so is the one right behind it."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    with serve() as served, served.connect() as client:
        client.send(b"GET /1 HTTP/1.1\r\n" + offer + b"\r\nGET /2 HTTP/1.1\r\nConnection: close\r\n\r\n")
        answers = client.rest()
        assert [b'"path": "/%d"' % n in answers for n in (1, 2)] == [True, True]
        assert served.refusals() == {}


def test_http_1_0_is_answered_and_closed(serve: Serve) -> None:
    """An old client gets its answer and the end of the connection."""
    with serve() as served, served.connect() as client:
        client.send(b"GET /old HTTP/1.0\r\n\r\n")
        assert b'"path": "/old"' in client.rest()


def test_failure_of_the_app_is_a_problem(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """An app that raises gives a 500 problem with the request's id; the log says where, but not with what."""

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("the secret prompt")

    with serve(failing) as served, served.connect() as client, caplog.at_level(logging.DEBUG):
        client.send(b"GET / HTTP/1.1\r\nX-Request-Id: r-7\r\n\r\n")
        answer = client.response()
        assert (answer.status, answer.problem["code"], answer.problem["requestId"]) == (500, "internal", "r-7")
        client.get()
        assert client.response().problem["requestId"] is None
        assert b"secret" not in answer.body
    record = next(record for record in caplog.records if record.message == "http.app_failed")
    assert record.__dict__["error_type"] == "ValueError"
    assert record.__dict__["frames"][-1].endswith(" failing")
    assert "secret" not in caplog.text + repr([record.__dict__ for record in caplog.records])
