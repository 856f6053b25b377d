"""Connecting: every way to reach a server, and wrong credentials that are not tried again and again."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from rlb.redis_io.connect import ConnectError, open_connection
from rlb.redis_io.topology import Standalone
from rlb.redis_io.wire import Wire
from rlb.settings import RedisSettings
from tests.conftest import OwnServer
from tests.servers.kinds import VALKEY_9
from tests.servers.process import RedisServer
from tests.support.assertions import PATIENCE_S, eventually
from tests.support.loops import limited_uvloop

LOOPS = [limited_uvloop, asyncio.new_event_loop]


async def ask(settings: RedisSettings, *command: bytes | str) -> object:
    """One command on a connection of its own."""
    topology = Standalone(settings, PATIENCE_S)
    topology.start()
    try:
        return await topology.main.call(*command)
    finally:
        await topology.close()


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_the_socket_is_taken_over_from_redis_py(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], valkey: RedisServer
) -> None:
    """After redis-py's handshake our own protocol reads and writes; this fails if redis-py hides its transport."""

    async def run() -> None:
        heard: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        wires: list[Wire] = []

        def attach(transport: asyncio.Transport) -> Wire:
            wires.append(Wire(transport, lambda _: None))
            return wires[0]

        opened = await open_connection(RedisSettings(url=valkey.url), "test", attach)
        wires[0].send(b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n", heard.set_result)
        assert await heard == b"hi"
        wires[0].abort()
        await asyncio.sleep(0.01)
        assert opened.transport.is_closing()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run())


async def test_unix_tcp_and_database(own_server: OwnServer) -> None:
    """The URL chooses the way and the database; the connection carries its name."""
    server = own_server(VALKEY_9, tcp=True)
    for url in (server.url, server.tcp_url):
        assert await ask(RedisSettings(url=url), b"PING") == b"PONG"
    assert await ask(RedisSettings(url=f"redis://127.0.0.1:{server.port}/3"), b"SET", b"k", b"v") == b"OK"
    assert await ask(RedisSettings(url=f"{server.url}?db=3"), b"GET", b"k") == b"v"
    assert await ask(RedisSettings(url=server.url), b"CLIENT", b"GETNAME") == b"rlb:main"


async def test_a_server_that_takes_connections_and_never_answers(own_server: OwnServer) -> None:
    """What is wrong is said in words of people: for how long there was no answer."""
    server = own_server(VALKEY_9)
    settings = RedisSettings(url=server.url, connect_timeout_s=0.2)
    server.pause()
    try:
        with pytest.raises(ConnectError, match=r"^cannot connect to .* \(no answer within 0\.2 s\)$"):
            await open_connection(settings, "test", lambda _: asyncio.Protocol())
    finally:
        server.resume()


async def test_a_password_file_is_read_at_every_attempt(own_server: OwnServer, tmp_path: Path) -> None:
    """A secret that is rotated on the server and in the file is picked up at the next connect."""
    server = own_server(VALKEY_9)
    server.command("ACL", "SETUSER", "app", "on", ">first", "~*", "+@all")
    file = tmp_path / "password"
    file.write_text("first\n")
    settings = RedisSettings(url=server.url, username="app", password_file=file, auth_retry_s=1)
    topology = Standalone(settings, PATIENCE_S)
    topology.start()
    try:
        assert await topology.main.call(b"ACL", b"WHOAMI") == b"app"
        server.command("ACL", "SETUSER", "app", "resetpass", ">second")
        file.write_text("second\n")
        server.command("CLIENT", "KILL", "USER", "app")
        await eventually(lambda: topology.main.connects == 2)
        assert await topology.main.call(b"ACL", b"WHOAMI") == b"app"
    finally:
        await topology.close()


async def test_wrong_credentials_are_tried_once(own_server: OwnServer) -> None:
    """One attempt a connection, then the long wait; the reason says so and holds no secret."""
    server = own_server(VALKEY_9)
    server.command("ACL", "SETUSER", "app", "on", ">right", "~*", "+@all")
    settings = RedisSettings(
        url=server.url, username="app", password=SecretStr("SESAME"), auth_retry_s=30, connect_timeout_s=PATIENCE_S
    )
    topology = Standalone(settings, 0.2)
    topology.start()
    try:
        await eventually(lambda: all("authentication refused" in (link.reason or "") for link in topology.links))
        await asyncio.sleep(1)
        assert topology.main.reason is not None
        assert "SESAME" not in topology.main.reason
    finally:
        await topology.close()
    refused = [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in server.command("ACL", "LOG")]
    # The main and the side connection, once each.
    assert sum(entry[b"count"] for entry in refused) == 2


async def test_no_server_is_a_reason_without_the_address(short_tmp: Path) -> None:
    """A server that is not there, or no server, ends the attempt with its kind."""
    settings = RedisSettings(url=f"unix://app:SESAME@{short_tmp}/none.sock")
    with pytest.raises(ConnectError) as caught:
        await open_connection(settings, "test", lambda transport: Wire(transport, lambda _: None))
    assert "cannot connect" in str(caught.value)
    assert "SESAME" not in str(caught.value)


def certificate(folder: Path, name: str) -> Path:
    """A certificate for localhost that is its own authority, and its key beside it."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return folder / f"{name}.pem"


@asynccontextmanager
async def behind_tls(upstream: Path, chain: Path) -> AsyncIterator[int]:
    """A port that speaks TLS and passes what it hears on to a Unix socket."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, chain.with_suffix(".key"))

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_unix_connection(str(upstream))
        await asyncio.gather(copy(reader, behind_writer), copy(behind_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_tls(valkey: RedisServer, short_tmp: Path) -> None:
    """A certificate of the configured authority is taken; one of another is not, and the reason says so."""
    good, other = certificate(short_tmp, "good"), certificate(short_tmp, "other")
    async with behind_tls(valkey.socket_path, good) as port:
        url = f"rediss://localhost:{port}"
        assert await ask(RedisSettings(url=url, tls_ca_file=good), b"PING") == b"PONG"
        with pytest.raises(ConnectError, match="certificate refused"):
            await open_connection(
                RedisSettings(url=url, tls_ca_file=other), "test", lambda transport: Wire(transport, lambda _: None)
            )
