"""Clients that do not read: they are not read from, they are cut off in the end, and the others do not notice."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from typing import Any

import aiohttp
import pytest

from rlb.api import acks
from tests.api.served import Client, eventually
from tests.servers.process import RedisServer
from tests.support.http import KEY, NDJSON, STREAM, M, lines, session, token
from tests.support.sidecar import RunningSidecar, StartSidecar

HEAD = b"POST /v1/tokens HTTP/1.1\r\nHost: rlb\r\nContent-Type: application/x-ndjson\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


def push(client: Client, piece: bytes, quiet_s: float = 0.7) -> bytes:
    """Send a piece; gives what was not taken for so long."""
    client.socket.settimeout(quiet_s)
    while piece:
        try:
            piece = piece[client.socket.send(piece) :]
        except TimeoutError:
            break
    return piece


@LOOPS
def test_who_reads_no_acks_is_not_read_from(start_sidecar: StartSidecar, valkey: RedisServer, loop: str) -> None:
    """A producer that leaves its acks unread is stopped by a full socket; when it reads again, not one is missing."""
    with start_sidecar(loop=loop, append={"deadline_ms": 60_000}).connect() as client:
        client.send(CHUNKED)
        said = 0
        left = b""
        while not left and said < 400_000:
            left = push(client, chunk(lines([token("x", ref=said + number) for number in range(500)])))
            said += 500
        assert left, "the sidecar took everything"
        # What is unread is bounded: acks that fill the sockets, and lines that wait for theirs.
        assert said < 4 * acks.MAX_WAITING
        client.socket.settimeout(20.0)
        sending = threading.Thread(target=client.send, args=(left + b"0\r\n\r\n",))
        sending.start()
        answers = [json.loads(line) for line in client.response().body.splitlines()]
        sending.join()
    assert [answer["ref"] for answer in answers] == list(range(said))
    assert not any("error" in answer for answer in answers)
    info = valkey.command("XINFO", "STREAM", KEY)
    assert info[info.index(b"entries-added") + 1] == said


@LOOPS
async def test_a_stuck_producer_is_cut_off(start_sidecar: StartSidecar, loop: str) -> None:
    """After `stall_s` without a read ack the connection is dropped, and the sidecar is as free as before."""
    sidecar = start_sidecar(loop=loop, tail={"stall_s": 0.3}, socket={"keep_alive_s": 0.5})
    body = chunk(lines([token("x", ref="r" * 100)] * 500))
    with sidecar.connect() as client:
        client.send(CHUNKED)
        cut_off = None
        for _ in range(2000):
            try:
                assert not push(client, body, quiet_s=15.0)
            except (BrokenPipeError, ConnectionResetError) as error:
                cut_off = error
                break
        assert cut_off is not None
    async with session(sidecar.path) as http, http.post("/v1/tokens", json=token()) as response:
        assert response.status == 201


async def fill(http: aiohttp.ClientSession, megabytes: int) -> None:
    body = lines([token("x" * 65_000, sessionId="big") for _ in range(megabytes * 16)])
    async with http.post("/v1/tokens", data=io.BytesIO(body), headers={"Content-Type": NDJSON}) as response:
        assert (await response.read()).count(b'"sequence"') == megabytes * 16


READERS = pytest.mark.parametrize(
    "path",
    [f"/v1/tail?sessionId=big&modelId={M}", f"/v1/subscribe?group=g&consumer=c&modelId={M}&maxInFlight=10000"],
    ids=["tail", "subscribe"],
)


@LOOPS
@READERS
async def test_a_stuck_reader_holds_nobody_back(start_sidecar: StartSidecar, loop: str, path: str) -> None:
    """While one reader takes nothing, another one of the same stream gets everything."""
    sidecar = start_sidecar(loop=loop)
    async with session(sidecar.path) as http:
        await fill(http, 4)
        with sidecar.connect() as stuck:
            stuck.get(path)
            async with http.get(path.replace("group=g", "group=h"), headers={"Accept": NDJSON}) as response:
                received = sum([len(await response.content.readuntil(b"\n")) for _ in range(64)])
            assert received > 64 * 65_000


def has_cut_off(caplog: pytest.LogCaptureFixture) -> bool:
    """Whether a stuck reader was given up, and its connection too."""
    return {"api.slow_reader_cut_off", "http.refused"} <= set(caplog.messages)


@LOOPS
@READERS
async def test_a_stuck_reader_is_cut_off(
    start_sidecar: StartSidecar, loop: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A reader that takes nothing for `stall_s` is dropped."""
    sidecar = start_sidecar(loop=loop, tail={"stall_s": 0.3}, socket={"keep_alive_s": 0.6})
    async with session(sidecar.path) as http:
        await fill(http, 4)
        with sidecar.connect() as stuck:
            stuck.get(path)
            assert eventually(lambda: has_cut_off(caplog))
            # It finds what fitted into the sockets, and then an end that is none of HTTP's.
            rest = stuck.rest()
        assert len(rest) < 64 * 65_000
        assert not rest.endswith(b"0\r\n\r\n")
        async with http.get("/livez") as response:
            assert response.status == 200
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_what_a_stuck_subscriber_was_to_get_goes_to_the_next(
    start_sidecar: StartSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    """What a consumer did not take is there when it comes back, once and in order: it does not wait to be claimed."""
    # Who reads at all must not be cut off, and may stand still for a while.
    sidecar = start_sidecar(tail={"stall_s": 2.0}, socket={"keep_alive_s": 2.5})
    path = "/v1/subscribe?group=g&consumer=c&maxInFlight=10000"
    async with session(sidecar.path) as http:
        await fill(http, 4)
        with sidecar.connect() as stuck:
            stuck.get(path)
            assert eventually(lambda: has_cut_off(caplog))
            assert 0 < sum(b'"entryId"' in line for line in stuck.rest().splitlines()) < 32
        async with http.get(path) as response:
            deliveries = [json.loads(await response.content.readuntil(b"\n")) for _ in range(64)]
    assert [each["message"]["metadata"]["sequence"] for each in deliveries] == list(range(1, 65))


async def test_a_full_buffer_slows_the_producer_down(own_server: Any, start_sidecar: StartSidecar) -> None:
    """While Redis hangs, a producer is taken from up to the buffer's bytes; when Redis goes on, nothing is missing."""
    server = own_server()
    mib = 1024 * 1024
    sidecar = start_sidecar(
        url=server.url, append={"buffer_bytes": 2 * mib, "stream_buffer_bytes": 2 * mib, "deadline_ms": 20_000}
    )
    body = chunk(lines([token("x" * 10_000)] * 10))
    with sidecar.connect() as client:
        client.send(CHUNKED + body)
        client.receive_until(b"}\n\r\n")
        server.pause()
        try:
            said, left = 1, b""
            while not left and said < 300:
                left = push(client, body)
                said += 1
            assert left, "the sidecar took everything"
            assert said * len(body) < 6 * mib
        finally:
            server.resume()
        client.socket.settimeout(20.0)
        client.send(left + b"0\r\n\r\n")
        answer = b""
        while not answer.endswith(b"\r\n0\r\n\r\n"):
            answer += client.receive()
        assert b'"error"' not in answer
        assert server.command("XLEN", KEY) == said * 10


async def test_a_full_buffer_is_told_at_the_deadline(own_server: Any, start_sidecar: StartSidecar) -> None:
    """A Redis that hangs for longer than a write may wait makes errors of the lines, never silence."""
    server = own_server()
    sidecar = start_sidecar(
        url=server.url,
        redis={"reply_timeout_s": 1.0},
        append={"buffer_bytes": 1024 * 1024, "stream_buffer_bytes": 1024 * 1024, "deadline_ms": 500},
    )
    async with session(sidecar.path) as http:
        server.pause()
        try:
            body = lines([token("x" * 10_000, ref=number) for number in range(300)])
            async with http.post("/v1/tokens", data=io.BytesIO(body), headers={"Content-Type": NDJSON}) as response:
                answers = [json.loads(line) for line in (await response.read()).splitlines()]
        finally:
            server.resume()
    assert [answer["ref"] for answer in answers] == list(range(300))
    assert {answer["error"]["code"] for answer in answers} <= {"redis_unavailable", "overloaded"}


@LOOPS
async def test_a_thousand_quiet_readers_do_not_slow_one_down(start_sidecar: StartSidecar, loop: str) -> None:
    """Connections that only wait cost a busy one nothing that can be felt."""
    sidecar = start_sidecar(loop=loop)
    quiet: list[socket.socket] = []
    async with session(sidecar.path) as http:
        async with http.put("/v1/streams", json=STREAM | {"sessionId": "other"}) as response:
            assert response.status == 201
        try:
            for _ in range(300):
                client = sidecar.connect()
                client.get(f"/v1/tail?sessionId=other&modelId={M}")
                quiet.append(client.socket)
            assert eventually(lambda: all(each.recv(65536, socket.MSG_PEEK) for each in quiet[-1:]))
            start_s = time.monotonic()
            for _ in range(50):
                async with http.post("/v1/tokens", json=token()) as response:
                    assert response.status == 201
            assert time.monotonic() - start_s < 10
        finally:
            for each in quiet:
                each.close()


def test_the_connection_cap_is_told(start_sidecar: StartSidecar) -> None:
    """One connection too many is answered 429 and closed; those that are open go on, and so do later ones."""
    sidecar: RunningSidecar = start_sidecar(socket={"max_connections": 3})
    clients = [sidecar.connect() for _ in range(3)]
    for client in clients:
        client.get("/livez")
        assert client.response().status == 200
    with sidecar.connect() as extra:
        response = extra.response()
        assert (response.status, response.problem["code"]) == (429, "overloaded")
        assert response.headers["retry-after"] == "1"
    for client in clients:
        client.get("/livez")
        assert client.response().status == 200
        client.socket.close()

    def serves_again() -> bool:
        with sidecar.connect() as later:
            later.get("/livez")
            return later.response().status == 200

    assert eventually(serves_again)
