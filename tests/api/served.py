"""A server on a Unix socket, in a thread with a loop of its own, so that tests may use blocking sockets against it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import uvloop

from rlb.api.connection_gate import ConnectionLimits
from rlb.api.server import HttpServer
from rlb.api.unix_socket import BoundSocket

T = TypeVar("T")
PATIENCE_S = 20.0
GET = b"GET / HTTP/1.1\r\nHost: rlb\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: rlb\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.new_event_loop,
}


def limits(**changes: Any) -> ConnectionLimits:
    """Limits that no test meets by accident, but for those it names."""
    wide: dict[str, Any] = {
        "max_connections": 100,
        "max_connections_per_uid": 100,
        "header_timeout_s": 30.0,
        "body_timeout_s": 30.0,
        "keep_alive_s": 30.0,
        "max_header_bytes": 65536,
        "linger_s": 0.05,
    }
    return ConnectionLimits(**{**wide, **changes})


def eventually(is_so: Callable[[], bool]) -> bool:
    """Whether it becomes so while one waits."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        if is_so():
            return True
        time.sleep(0.005)
    return is_so()


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        return document


class Client:
    """A blocking client that speaks bytes."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self.socket.settimeout(PATIENCE_S)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def get(self, path: str = "/") -> None:
        self.send(f"GET {path} HTTP/1.1\r\nHost: rlb\r\n\r\n".encode())

    def response(self) -> Response:
        """The next response, whole."""
        with HTTPResponse(self.socket) as parsed:
            parsed.begin()
            headers = {name.lower(): value for name, value in parsed.getheaders()}
            return Response(parsed.status, headers, parsed.read())

    def receive(self, size: int = 65536) -> bytes:
        return self.socket.recv(size)

    def receive_until(self, end: bytes) -> bytes:
        received = b""
        while not received.endswith(end):
            chunk = self.receive()
            assert chunk, f"the connection ended after {received!r}"
            received += chunk
        return received

    def rest(self) -> bytes:
        """Everything until the connection ends, in whichever way."""
        received = b""
        try:
            while chunk := self.receive():
                received += chunk
        except ConnectionResetError:
            pass
        return received

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()


class Served:
    """`app` behind a real socket, from `with` to the end of the block."""

    server: HttpServer

    def __init__(self, app: Any, path: Path, *, loop: str = "uvloop", mode: int = 0o660, **changes: Any) -> None:
        self.path = path
        self._app = app
        self._mode = mode
        self._limits = limits(**changes)
        self._loop_factory = LOOPS[loop]
        self._thread = threading.Thread(target=self._run)
        self._is_ready = threading.Event()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._loop_factory) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        with BoundSocket(self.path, mode=self._mode) as bound:
            self.server = HttpServer(self._app, bound.socket, self._limits)
            await self.server.start()
            self._is_ready.set()
            await self._over.wait()
            await self.server.stop(0.0)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine that runs in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def connect(self) -> Client:
        return Client(self.path)

    def refusals(self) -> dict[str, int]:
        """What was refused, by reason."""
        return {reason.value: count for reason, count in self.server.gate.refused.items() if count}

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_ready.wait(PATIENCE_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


class Serve(Protocol):
    """Makes a server; the options are those of `Served` and the limits that the test is about."""

    def __call__(self, app: Any = ..., **options: Any) -> Served: ...


async def mirror(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it was asked, once it has all of it."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    peer = scope["state"]["peer"]
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
        "body": body.decode(),
        "uid": peer and peer.uid,
        "pid": peer and peer.pid,
    }
    answer = json.dumps(seen).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": answer})


async def duplex(scope: Any, receive: Any, send: Any) -> None:
    """Gives every piece of the body back as it comes."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})


class Endless:
    """An event stream that ends with its client only; tells how many are running."""

    def __init__(self) -> None:
        self.running = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.running += 1
        try:
            head = [(b"content-type", b"text/event-stream")]
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self.running -= 1
