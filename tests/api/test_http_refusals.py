"""What the protocol refuses on real sockets: invalid requests, broken framing, and more than the limits allow."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from rlb.api.http_protocol import MAX_HEADER_FIELDS, MAX_PIPELINED
from tests.api.served import CHUNKED, GET, POST, Serve, duplex, eventually, mirror

SMUGGLED = b"GET /smuggled HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="TLS hello"),
        pytest.param(os.urandom(4096).replace(b"\n", b"x") + b"\r\n\r\n", id="noise"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 preface"),
        pytest.param(b"GET /\r\n\r\n", id="HTTP/0.9"),
        pytest.param(b"GET / HTTP/1.1\nHost: rlb\n\n", id="bare line feeds"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: r\x00lb\r\n\r\n", id="NUL in a header"),
        pytest.param(b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n", id="raw UTF-8 in the path"),
        pytest.param(b"CONNECT rlb:80 HTTP/1.1\r\n\r\n", id="CONNECT"),
        pytest.param(POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, id="CL.TE"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + SMUGGLED, id="TE.CL"),
        pytest.param(POST + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n" + SMUGGLED, id="TE gzip"),
        pytest.param(POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, id="TE gzip, chunked"),
        pytest.param(POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED, id="TE xchunked"),
        pytest.param(POST + b"Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n" + SMUGGLED, id="TE identity"),
        pytest.param(POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, id="space before the colon"),
        pytest.param(POST + b"Content-Length: 4\r\nContent-Length: 0\r\n\r\nabcd" + SMUGGLED, id="two lengths"),
        pytest.param(POST + b"Content-Length: 0, 4\r\n\r\nabcd" + SMUGGLED, id="list of lengths"),
        pytest.param(POST + b"Content-Length: +4\r\n\r\nabcd" + SMUGGLED, id="signed length"),
        pytest.param(POST + b"X: a\r\n b\r\n\r\n", id="folded header"),
        pytest.param(
            POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 26\r\n\r\n" + SMUGGLED, id="upgrade, body"
        ),
    ],
)
def test_invalid_requests_get_one_problem(serve: Serve, request_bytes: bytes) -> None:
    """What is not HTTP/1.1, or could be read in two ways, gets one 400 problem and the end; the app sees nothing."""
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await mirror(scope, receive, send)

    with serve(app) as served, served.connect() as client:
        client.send(request_bytes)
        refusal = client.response()
        assert (refusal.status, refusal.problem["code"]) == (400, "invalid_request")
        assert refusal.problem["type"] == "urn:rlb:problem:invalid_request"
        assert client.rest() == b""
        assert seen == []
        assert served.refusals() == {"invalid_request": 1}


def test_the_answer_to_junk_does_not_repeat_it(serve: Serve) -> None:
    """A prompt that was sent to the wrong place does not come back in an error."""
    with serve() as served, served.connect() as client:
        client.send(b"my secret prompt\r\n\r\n")
        assert b"secret" not in client.rest()


def test_broken_chunks_before_the_answer(serve: Serve) -> None:
    """If the framing of a body breaks before the app has answered, the client is told, and so is the app."""
    with serve() as served, served.connect() as client:
        client.send(CHUNKED + b"2\r\nhi\r\nzz\r\n")
        assert client.response().problem["code"] == "invalid_request"
        assert client.rest() == b""
        assert eventually(lambda: not served.server._state.tasks)
        assert served.server.total_requests == 0


def test_broken_chunks_amid_the_answer(serve: Serve) -> None:
    """If it breaks amid a conversation, what was answered arrives, and nothing that could pass for the answer's end."""
    with serve(duplex) as served, served.connect() as client:
        client.send(CHUNKED + b"2\r\nhi\r\n")
        client.receive_until(b"2\r\nhi\r\n")
        client.send(b"zz\r\n")
        assert client.rest() == b""
        assert eventually(lambda: not served.server._state.tasks)


def test_junk_behind_a_request_does_not_cost_its_answer(serve: Serve) -> None:
    """A request that came whole is answered, whatever comes behind it; then the connection ends."""
    with serve() as served, served.connect() as client:
        client.send(GET + b"\x00\x01\x02")
        assert client.response().status == 200
        assert client.rest() == b""
        assert served.refusals() == {"invalid_request": 1}


def test_header_over_the_limit(serve: Serve) -> None:
    """A header of 10 kB is refused where 8 kB are allowed, whether it comes at once or in pieces, whole or not."""
    header = b"GET / HTTP/1.1\r\nX-Big: " + b"x" * 10_000
    for pieces in ([header + b"\r\n\r\n"], [header], [header[:5000], header[5000:]]):
        with serve(max_header_bytes=8192) as served, served.connect() as client:
            for piece in pieces:
                client.send(piece)
                time.sleep(0.02)
            refusal = client.response()
            assert (refusal.status, refusal.problem["code"]) == (413, "too_large")
            assert "8192" in refusal.problem["detail"]
            assert served.refusals() == {"header_too_large": 1}


def test_header_under_the_limit(serve: Serve) -> None:
    """The limit is on the header alone: 60 kB of it pass by default, and a body that comes with it does not count."""
    with serve() as served, served.connect() as client:
        client.send(POST + b"X-Big: " + b"x" * 60_000 + b"\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000))
        assert client.response().status == 200


def test_header_over_the_limit_behind_another_request(serve: Serve) -> None:
    """Coming in one read with the end of another body does not help it past the limit."""
    with serve(duplex, max_header_bytes=1024) as served, served.connect() as client:
        client.send(POST + b"Content-Length: 4\r\n\r\nab")
        client.receive_until(b"2\r\nab\r\n")
        client.send(b"cdGET / HTTP/1.1\r\nX-Big: " + b"x" * 2000 + b"\r\n\r\n")
        assert b"413" not in client.rest()
        assert served.refusals() == {"header_too_large": 1}
        assert eventually(lambda: served.server.total_requests == 1)


def test_too_many_header_fields(serve: Serve) -> None:
    """The number of fields is limited too: small ones cost far more memory than bytes."""
    with serve() as served, served.connect() as client:
        client.send(b"GET / HTTP/1.1\r\n" + b"a:\r\n" * (MAX_HEADER_FIELDS + 1) + b"\r\n")
        assert client.response().problem["code"] == "too_large"


@pytest.mark.parametrize(
    "start", [b"1;", b"0\r\nX-Trailer: ", b"0\r\n"], ids=["chunk extension", "trailer", "many trailers"]
)
def test_endless_framing_of_a_body(serve: Serve, start: bytes) -> None:
    """Bytes of a body's framing that lead to no body are limited like a header."""
    with serve(duplex, max_header_bytes=4096) as served, served.connect() as client:
        client.send(CHUNKED + b"2\r\nhi\r\n" + start)
        client.receive_until(b"2\r\nhi\r\n")
        filler = b"a: b\r\n" if start.endswith(b"\n") and b"X" not in start else b"xxxxxx"
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            client.send(filler * 1_000_000)
        assert served.refusals() == {"header_too_large": 1}


def test_endless_blank_lines(serve: Serve) -> None:
    """Blank lines before a request are allowed, but not for ever."""
    with serve(max_header_bytes=4096) as served, served.connect() as client:
        client.send(b"\r\n" * 4)
        client.get()
        assert client.response().status == 200
        client.send(b"\r\n" * 4096)
        assert client.response().problem["code"] == "too_large"


def test_too_many_pipelined_requests(serve: Serve) -> None:
    """A client that never waits is cut off, behind the answers to what had been taken."""
    with serve() as served, served.connect() as client:
        client.send(GET * 1000)
        answers = client.rest()
        assert answers.count(b"HTTP/1.1 200 OK") == MAX_PIPELINED + 1
        assert served.refusals() == {"pipeline": 1}
