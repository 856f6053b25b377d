"""Who gets in: users, groups, how many at once, and how the others are told."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rlb.api.connection_gate import MAX_LINGERING
from rlb.api.http_protocol import GuardedHttpProtocol
from rlb.api.server import HttpServer
from tests.api.served import GET, Serve, Served, eventually, limits, mirror

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can connect as another user")
STRANGER_UID = 54321
STRANGER_GID = 54322
# For who is turned away while writing: longer than a machine may stand still between its request and its reading.
PATIENT = {"linger_s": 10.0}
AS_STRANGER = """
import http.client, os, socket, sys
path, uid, gid, groups = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), [int(g) for g in sys.argv[4].split(",") if g]
os.setgroups(groups); os.setgid(gid); os.setuid(uid)
client = socket.socket(socket.AF_UNIX)
client.settimeout(15)
client.connect(path)
client.sendall(b"GET /secret HTTP/1.1\\r\\nHost: rlb\\r\\nConnection: close\\r\\n\\r\\n")
answer = http.client.HTTPResponse(client)
answer.begin()
sys.stdout.buffer.write(b"%d %b" % (answer.status, answer.read()))
"""


def ask_as_stranger(served: Served, groups: str = "") -> tuple[int, dict[str, Any]]:
    """Status and body of what a process of another user and group gets."""
    command = [sys.executable, "-c", AS_STRANGER, str(served.path), str(STRANGER_UID), str(STRANGER_GID), groups]
    answer = subprocess.run(command, check=True, capture_output=True, timeout=30).stdout
    status, body = answer.split(b" ", 1)
    return int(status), json.loads(body)


@root_only
def test_stranger_is_refused_before_a_byte_is_read(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who is not on the list gets one 403 problem; the parser and the app never see their request."""
    read: list[bytes] = []
    parse = GuardedHttpProtocol.data_received
    monkeypatch.setattr(GuardedHttpProtocol, "data_received", lambda self, data: (read.append(data), parse(self, data)))
    with serve(mode=0o666, allow_uids=frozenset({12345}), **PATIENT) as served:
        status, problem = ask_as_stranger(served)
        assert (status, problem["code"], problem["requestId"]) == (403, "peer_not_allowed", None)
        assert served.refusals() == {"peer_not_allowed": 1}
        assert (served.server.gate.accepted, served.server.gate.open_connections) == (0, 0)
        assert read == []
        with served.connect() as own:
            own.get()
            assert own.response().status == 200
        assert read == [GET]


@root_only
@pytest.mark.parametrize(
    ("lists", "groups"),
    [
        ({}, ""),
        ({"allow_uids": frozenset({STRANGER_UID})}, ""),
        ({"allow_gids": frozenset({STRANGER_GID})}, ""),
        ({"allow_gids": frozenset({777}), "allow_uids": frozenset({1})}, "776,777"),
    ],
    ids=["no lists", "uid", "gid", "supplementary gid"],
)
def test_stranger_on_a_list_is_let_in(serve: Serve, lists: dict[str, frozenset[int]], groups: str) -> None:
    """A listed uid, gid or supplementary group will do, and without lists the file's mode decides."""
    with serve(mode=0o666, **lists) as served:
        status, seen = ask_as_stranger(served, groups)
        assert (status, seen["path"], seen["uid"]) == (200, "/secret", STRANGER_UID)


async def test_http_client_reads_the_refusal(serve: Serve, short_tmp: Path) -> None:
    """A refused client that has begun to write its request reads a 403, not a reset."""
    with serve(max_connections=1, **PATIENT) as served, served.connect() as first:
        first.get()
        first.response()
        for _ in range(20):
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(served.path))) as session,
                session.post("http://rlb/", data=b"x" * 2000) as response,
            ):
                assert response.status == 429
                assert (await response.json(content_type="application/problem+json"))["code"] == "overloaded"


def test_own_user_is_always_let_in(serve: Serve) -> None:
    """Lists cannot lock the sidecar's own user out; the app learns who asks."""
    with serve(allow_uids=frozenset({12345}), allow_gids=frozenset({12345})) as served, served.connect() as client:
        client.get()
        seen = json.loads(client.response().body)
        assert (seen["uid"], seen["pid"]) == (os.geteuid(), os.getpid())


def test_cap_on_connections(serve: Serve) -> None:
    """One connection too many gets 429 with Retry-After; when another has closed there is room again."""
    with serve(max_connections=2) as served, served.connect() as one:
        with served.connect() as two:
            for client in (one, two):
                client.get()
                assert client.response().status == 200
            with served.connect() as three:
                refusal = three.response()
                assert (refusal.status, refusal.problem["code"]) == (429, "overloaded")
                assert refusal.headers["retry-after"] == "1"
                assert refusal.headers["connection"] == "close"
                assert three.rest() == b""
        assert eventually(lambda: served.server.gate.open_connections == 1)
        with served.connect() as three:
            three.get()
            assert three.response().status == 200
        assert served.refusals() == {"connections": 1}


def test_cap_on_connections_of_one_user(serve: Serve) -> None:
    """One user cannot take all connections."""
    with serve(max_connections_per_uid=1) as served, served.connect() as one:
        one.get()
        one.response()
        with served.connect() as two:
            assert two.response().problem["code"] == "overloaded"
        assert served.refusals() == {"connections_per_uid": 1}
    assert served.server.gate._per_uid == {}


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_flood_of_refused_connections_keeps_few_descriptors(serve: Serve) -> None:
    """Refused clients that stay are not waited for without bound."""
    with serve(max_connections=1, linger_s=60.0) as served, served.connect() as first:
        first.get()
        first.response()
        before = open_descriptors()
        flood = [served.connect() for _ in range(200)]
        assert eventually(lambda: served.refusals() == {"connections": 200})
        assert len(served.server.gate._lingering) == MAX_LINGERING
        assert eventually(lambda: open_descriptors() == before + len(flood) + MAX_LINGERING)
        for client in flood:
            client.socket.close()


def test_refused_connections_that_stay_are_let_go_of(serve: Serve) -> None:
    """After its time to read the refusal, nothing is kept open for a client, whether it has left or not."""
    with serve(max_connections=1, linger_s=0.1) as served, served.connect() as first:
        first.get()
        first.response()
        before = open_descriptors()
        with served.connect(), served.connect():
            assert eventually(lambda: served.refusals() == {"connections": 2})
            assert eventually(lambda: open_descriptors() == before + 2)


def test_tcp_has_no_peer(serve: Serve) -> None:
    """On a TCP port there is no user to judge, so lists and the cap per user do not apply."""
    with serve() as served:

        async def listen() -> tuple[HttpServer, int]:
            listener = socket.create_server(("127.0.0.1", 0))
            server = HttpServer(mirror, listener, limits(allow_uids=frozenset({12345}), max_connections_per_uid=1))
            await server.start()
            return server, listener.getsockname()[1]

        server, port = served.call(listen())
        with socket.create_connection(("127.0.0.1", port)) as one, socket.create_connection(("127.0.0.1", port)) as two:
            for client in (one, two):
                client.sendall(GET)
                client.settimeout(10)
                answer = b""
                while not answer.endswith(b"}"):
                    answer += client.recv(65536)
                assert b'"uid": null' in answer
        served.call(server.stop(1.0))


def test_refusals_are_logged_by_user_and_not_in_a_flood(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """Refusals of one kind are logged once a second at most, with the uid."""
    with caplog.at_level(logging.WARNING), serve(max_connections=1) as served, served.connect() as first:
        first.get()
        first.response()
        for _ in range(50):
            served.connect().socket.close()
        assert eventually(lambda: served.refusals() == {"connections": 50})
    records = [record for record in caplog.records if record.message == "http.refused"]
    assert 1 <= len(records) < 10
    assert records[0].__dict__["peer_uid"] == os.geteuid()
