"""Bytes on the socket, cut anywhere: each connection is answered or ended in time, and the next one is served."""

from __future__ import annotations

import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPException

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.api.connection_gate import ConnectionLimits
from rlb.errors import BY_CODE
from tests.api.served import eventually
from tests.support.fuzz import FACTOR, IN_TIME, examples
from tests.support.http import token
from tests.support.sidecar import RunningSidecar, StartSidecar

pytestmark = IN_TIME

PATIENCE_S = 15.0
LINE = json.dumps(token()).encode() + b"\n"

starts = st.sampled_from(
    [
        b"GET /livez HTTP/1.1\r\n",
        b"GET /v1/tail?sessionId=s-1&modelId=m&waitMs=1 HTTP/1.1\r\n",
        b"GET /v1/subscribe?group=g&consumer=c HTTP/1.1\r\n",
        b"HEAD /healthz HTTP/1.1\r\n",
        b"POST /v1/tokens HTTP/1.1\r\n",
        b"PUT /v1/streams HTTP/1.1\r\n",
        b"DELETE /v1/streams/a/b HTTP/1.0\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n",
        b"GET /%FF%00/../v1 HTTP/1.1\r\n",
        b"GET http://elsewhere/livez HTTP/1.1\r\n",
        b"PRI * HTTP/2.0\r\n",
        b"GET /livez\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"*1\r\n$4\r\nPING\r\n",
    ]
)
fields = st.sampled_from(
    [
        b"Host: rlb\r\n",
        b"Content-Type: application/json\r\n",
        b"Content-Type: application/x-ndjson\r\n",
        b"Content-Type: text/event-stream\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 99999999999999999999\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Connection: close\r\n",
        b"Connection: upgrade\r\nUpgrade: h2c\r\n",
        b"Expect: 100-continue\r\n",
        b"Last-Event-ID: 1-1\r\n",
        b"X-Request-Id: \xff\xfe\r\n",
        b"X: " + b"y" * 70_000 + b"\r\n",
        b" folded\r\n",
        b"no colon\r\n",
        b"\x00: \x00\r\n",
    ]
)
contents = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        LINE,
        b"%x\r\n%b\r\n" % (len(LINE), LINE),
        b"0\r\n\r\n",
        b"0\r\nTrailer: x\r\n\r\n",
        b"ffffffffffffffff\r\n",
        b"-1\r\n",
        b"5;extension=" + b"x" * 300 + b"\r\nhello\r\n",
        b"{}",
        b"hello",
        b"\x00" * 100,
    ]
)
parts = starts | fields | contents | st.binary(max_size=12)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A request of known parts, whole or not, right or not."""
    head = draw(starts) + b"".join(draw(st.lists(fields, max_size=4))) + draw(st.sampled_from([b"\r\n", b"\r\n", b""]))
    return head + b"".join(draw(st.lists(contents, max_size=4)))


streams = st.lists(requests() | st.lists(parts, max_size=6).map(b"".join), max_size=4).map(b"".join)


@st.composite
def in_pieces(draw: st.DrawFn) -> list[bytes]:
    body = draw(streams)
    cuts = sorted(draw(st.lists(st.integers(0, len(body)), max_size=4)))
    return [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True) if end > start]


@pytest.fixture
def faultless(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Afterwards the log may not tell of any fault."""
    yield
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.fixture
def hasty(start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch, faultless: None) -> RunningSidecar:
    """A sidecar whose patience is short."""
    limits = ConnectionLimits.from_settings
    monkeypatch.setattr(ConnectionLimits, "from_settings", lambda settings: replace(limits(settings), linger_s=0.02))
    return start_sidecar(
        socket={"header_timeout_s": 0.2, "body_timeout_s": 0.2, "keep_alive_s": 0.2, "max_message_bytes": 4096}
    )


def send(client: socket.socket, pieces: list[bytes]) -> None:
    """Send what is taken; a sidecar that has refused need not listen to the rest."""
    try:
        for piece in pieces:
            client.sendall(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass


def until_end(client: socket.socket) -> bytes:
    """All that is answered; that it ends in time is what is tested."""
    client.settimeout(PATIENCE_S)
    received = b""
    try:
        while chunk := client.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def problems(received: bytes) -> Iterator[dict[str, object]]:
    for match in re.finditer(rb'\{"type":"urn:rlb:problem:[^\n]*?\}(?=HTTP/|$)', received):
        yield json.loads(match[0])


def check(received: bytes) -> None:
    """Every answer is HTTP, none is a fault, and every problem has a code of the contract."""
    assert received == b"" or received.startswith(b"HTTP/1.1 ")
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", received)]
    assert set(statuses) <= {100, 200, 201, 204, 400, 404, 405, 408, 410, 413, 415, 429}
    for problem in problems(received):
        assert problem["code"] in BY_CODE
        assert problem["code"] != "internal"


def serves(sidecar: RunningSidecar) -> bool:
    """Whether the next client is answered, or the one after it: this one may have taken too long to ask."""

    def answers() -> bool:
        with suppress(OSError, HTTPException), sidecar.connect() as client:
            client.get("/livez")
            return client.response().status == 200
        return False

    return eventually(answers)


@examples(250)
@given(pieces=in_pieces())
def test_any_bytes_and_then_the_end(hasty: RunningSidecar, pieces: list[bytes]) -> None:
    """Whatever a client says before it hangs up, its connection ends at once."""
    with hasty.connect() as client:
        send(client.socket, pieces)
        with suppress(OSError):  # the sidecar may be quicker
            client.socket.shutdown(socket.SHUT_WR)
        check(until_end(client.socket))
    assert serves(hasty)


OPEN = (b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson", b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream")


@examples(25)
@given(pieces=in_pieces())
def test_any_bytes_and_then_silence(hasty: RunningSidecar, pieces: list[bytes]) -> None:
    """A client that says no more is answered or cut off in time; only a conversation that has begun may pause."""
    with hasty.connect() as client:
        send(client.socket, pieces)
        client.socket.settimeout(0.05)
        start_s = time.monotonic()
        received = b""
        while time.monotonic() - start_s < PATIENCE_S:
            try:
                chunk = client.receive()
            except TimeoutError:
                if any(sign in received for sign in OPEN):
                    break
                continue
            except ConnectionResetError:
                break
            if not chunk:
                break
            received += chunk
        else:
            pytest.fail(f"neither answered nor ended: {received!r}")
        check(received)
    assert serves(hasty)


@pytest.mark.usefixtures("faultless")
def test_pieces_make_no_difference(sidecar: RunningSidecar) -> None:
    """A conversation of several requests is answered alike in one piece, in two at any place, and byte by byte."""
    body = b'{"sessionId":"a:b","modelId":"m","token":"x"}'
    said = (
        b"GET /livez HTTP/1.1\r\nHost: rlb\r\nX-Request-Id: 1\r\n\r\n"
        b"POST /v1/tokens HTTP/1.1\r\nHost: rlb\r\nX-Request-Id: 2\r\nContent-Length: %d\r\n\r\n%b"
        b"POST /v1/tokens HTTP/1.1\r\nHost: rlb\r\nX-Request-Id: 3\r\nContent-Type: application/x-ndjson\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n1\r\n\n\r\n0\r\n\r\n"
        b"GET /nowhere HTTP/1.1\r\nHost: rlb\r\nX-Request-Id: 4\r\nConnection: close\r\n\r\n"
    ) % (len(body), body, len(body), body)
    ways = [[said], [bytes([byte]) for byte in said]]
    ways += [[said[:place], said[place:]] for place in range(1, len(said), 1 if FACTOR else 7)]
    answers = set()
    for pieces in ways:
        with sidecar.connect() as client:
            for piece in pieces:
                client.send(piece)
            answers.add(until_end(client.socket))
    assert len(answers) == 1
    (answer,) = answers
    assert re.findall(rb"HTTP/1\.1 (\d{3})", answer) == [b"200", b"400", b"200", b"404"]
    assert re.findall(rb"x-request-id: (\d)", answer) == [b"1", b"2", b"3", b"4"]
