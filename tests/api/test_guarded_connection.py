"""The life of a connection: deadlines for those that keep still, and what its app learns of its end."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from tests.api.served import CHUNKED, GET, POST, Endless, Serve, duplex, eventually

# Deadlines

# Nothing happens for so long only where a test means it, also on a machine that has other things to do.
SHORT_S = 0.5
SHORT = {"header_timeout_s": SHORT_S, "body_timeout_s": SHORT_S, "keep_alive_s": SHORT_S}


def test_slow_header_is_cut(serve: Serve) -> None:
    """A header that trickles in gets 408 when its time is up, however busily it trickles."""
    # It is still sending when it is refused, so it is given time to read of that.
    with serve(header_timeout_s=0.3, linger_s=10.0) as served, served.connect() as client:
        start_s = time.monotonic()
        client.send(b"GET / HTTP/1.1\r\n")
        client.socket.settimeout(0.02)
        answer = b""
        while not answer:
            client.send(b"X: y\r\n")
            try:
                answer = client.receive()
            except TimeoutError:
                assert time.monotonic() - start_s < 10
        assert time.monotonic() - start_s >= 0.3
        assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert b'"code":"request_timeout"' in answer
        assert served.refusals() == {"header_timeout": 1}


def test_slow_body_is_cut(serve: Serve) -> None:
    """A body that stops halfway gets 408, and its app is told that nobody is there; one that trickles in does not."""
    with serve(body_timeout_s=1.0) as served, served.connect() as client:
        client.send(POST + b"Content-Length: 10\r\n\r\n")
        for _ in range(6):
            time.sleep(0.2)
            client.send(b"x")
        assert served.refusals() == {}
        assert client.response().problem["code"] == "request_timeout"
        assert served.refusals() == {"body_timeout": 1}
        assert eventually(lambda: not served.server._state.tasks)


def test_conversation_may_pause(serve: Serve) -> None:
    """Once the response has begun, the body may pause longer than any deadline."""
    with serve(duplex, **SHORT) as served, served.connect() as client:
        client.send(CHUNKED + b"2\r\nhi\r\n")
        client.receive_until(b"2\r\nhi\r\n")
        time.sleep(2 * SHORT_S)
        assert served.refusals() == {}
        client.send(b"2\r\nho\r\n0\r\n\r\n")
        client.receive_until(b"2\r\nho\r\n0\r\n\r\n")


def test_app_may_think(serve: Serve) -> None:
    """No deadline is on the app: a request that came whole may take its time, and so may a stream of events."""
    endless = Endless()
    with serve(endless, **SHORT) as served, served.connect() as client:
        client.get()
        client.receive_until(b"data: 1\n\n\r\n")
        time.sleep(2 * SHORT_S)
        assert endless.running == 1
        assert served.refusals() == {}


def test_body_behind_its_answer_is_not_waited_for(serve: Serve) -> None:
    """When the app has answered early, the rest of the body is let in for a while only."""

    async def hasty(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    with serve(hasty, body_timeout_s=0.2) as served, served.connect() as client:
        client.send(POST + b"Content-Length: 1000000\r\n\r\n")
        assert client.response().status == 200
        end_s = time.monotonic() + 10
        with suppress(BrokenPipeError):  # between the look and the sending
            while not served.refusals() and time.monotonic() < end_s:
                client.send(b"x" * 100)
                time.sleep(0.02)
        assert served.refusals() == {"body_timeout": 1}
        assert client.rest() == b""


def test_header_that_came_too_late_is_not_taken(serve: Serve) -> None:
    """A header whose time ran out behind a running request does not become a request when its end comes at last."""
    endless = Endless()
    with serve(endless, header_timeout_s=0.1) as served, served.connect() as client:
        client.get()
        client.receive_until(b"data: 1\n\n\r\n")
        client.send(GET[:-2])
        assert eventually(lambda: served.refusals() == {"header_timeout": 1})
        client.send(GET[-2:])
        time.sleep(0.1)
        assert endless.running == 1
        assert served.call(served.server.stop(0.0)) == 1
        assert client.rest() == b""


@pytest.mark.parametrize("first", [b"", GET], ids=["fresh", "after a request"])
def test_idle_connection_is_closed(serve: Serve, first: bytes) -> None:
    """A connection on which nothing is asked is closed without a word."""
    with serve(keep_alive_s=SHORT_S) as served:
        start_s = time.monotonic()
        with served.connect() as client:
            if first:
                client.send(first)
                client.response()
            assert client.rest() == b""
        assert time.monotonic() - start_s >= SHORT_S
        assert served.refusals() == {"idle": 1}
        assert eventually(lambda: served.server.gate.open_connections == 0)


def test_client_that_does_not_read_is_cut(serve: Serve) -> None:
    """A client that takes nothing of its answer for long is dropped, and the app is told."""
    is_over = threading.Event()

    async def flood(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(1000):
                await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
        finally:
            is_over.set()

    with serve(flood, keep_alive_s=SHORT_S) as served, served.connect() as client:
        client.get()
        assert is_over.wait(10)
        assert eventually(lambda: served.server.gate.open_connections == 0)
        assert served.refusals() == {"stalled": 1}


def test_closing_does_not_wait_for_a_client_that_does_not_read(serve: Serve) -> None:
    """Neither does a connection whose answer is complete, but not taken, stay for ever."""

    async def big(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": bytes(4 << 20)})

    with serve(big, keep_alive_s=SHORT_S) as served, served.connect() as client:
        client.get()
        assert eventually(lambda: served.refusals() == {"stalled": 1})
        assert eventually(lambda: served.server.gate.open_connections == 0)


def test_slow_reader_that_reads_is_not_cut(serve: Serve) -> None:
    """A client that reads slowly, but reads, gets all of it."""
    size = 2 << 20

    async def big(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        for _ in range(size >> 16):
            await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    with serve(big, keep_alive_s=SHORT_S) as served, served.connect() as client:
        start_s = time.monotonic()
        client.get()
        received = 0
        while received < size:
            assert served.refusals() == {}
            chunk = client.receive()
            assert chunk
            received += len(chunk)
            time.sleep(0.05)
        assert time.monotonic() - start_s > 2 * SHORT_S


# Ends


def test_client_that_leaves_ends_its_stream(serve: Serve) -> None:
    """When the client goes, the app behind its stream of events is told."""
    endless = Endless()
    with serve(endless) as served:
        with served.connect() as client:
            client.get()
            client.receive_until(b"data: 1\n\n\r\n")
        assert eventually(lambda: endless.running == 0)
        assert served.server.gate.open_connections == 0


def test_client_that_leaves_ends_a_stream_with_requests_behind_it(serve: Serve) -> None:
    """Also when another request had been sent behind the one that streams."""
    endless = Endless()
    with serve(endless) as served:
        with served.connect() as client:
            client.get()
            client.receive_until(b"data: 1\n\n\r\n")
            client.get()
            time.sleep(0.1)
            assert endless.running == 1
        assert eventually(lambda: endless.running == 0)


def test_client_that_leaves_amid_a_busy_stream(serve: Serve) -> None:
    """An app that finds the client gone by writing to it is told, whatever had been sent behind its request."""
    endings: list[str] = []

    async def busy(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        left = asyncio.create_task(receive())
        while not left.done():
            await send({"type": "http.response.body", "body": b"tick", "more_body": True})
            await asyncio.sleep(0.002)
        endings.append(left.result()["type"])

    with serve(busy) as served:
        with served.connect() as client:
            client.send(GET + GET)
            client.receive_until(b"4\r\ntick\r\n")
        assert eventually(lambda: endings == ["http.disconnect"])
        assert served.refusals() == {}
