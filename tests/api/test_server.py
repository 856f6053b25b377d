"""Start and stop: nothing of the process is touched, and a stop ends in time, whatever is running."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from rlb.api.server import HttpServer
from rlb.api.unix_socket import BoundSocket
from tests.api.served import (
    CHUNKED,
    GET,
    PATIENCE_S,
    Client,
    Endless,
    Serve,
    Served,
    duplex,
    eventually,
    limits,
    mirror,
)

LATE_S = 3 * PATIENCE_S
"""A deadline that no stop may wait for."""


def start_stop(served: Served, deadline_s: float) -> Future[int]:
    return asyncio.run_coroutine_threadsafe(served.server.stop(deadline_s), served._loop)


async def test_signals_stay_the_callers(short_tmp: Path) -> None:
    """The server takes no signal from the process, neither while it runs nor after."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with BoundSocket(short_tmp / "s") as bound:
        server = HttpServer(mirror, bound.socket, limits())
        await server.start()
        assert [signal.getsignal(number) for number in numbers] == before
        assert await server.stop(1.0) == 0
    assert [signal.getsignal(number) for number in numbers] == before


def test_stop_without_connections_is_quick(serve: Serve) -> None:
    """With nothing to wait for, nothing is waited for."""
    with serve() as served:
        assert start_stop(served, LATE_S).result(PATIENCE_S) == 0


def test_idle_connections_are_closed_at_once(serve: Serve) -> None:
    """A client that keeps its connection for later does not hold up the stop."""
    with serve() as served, served.connect() as fresh, served.connect() as used:
        used.get()
        used.response()
        assert start_stop(served, LATE_S).result(PATIENCE_S) == 0
        assert (fresh.rest(), used.rest()) == (b"", b"")


def test_endless_stream_is_cut_at_the_deadline(serve: Serve) -> None:
    """A stream of events that never ends is cut off at the deadline, counted, and its app told."""
    endless = Endless()
    with serve(endless) as served, served.connect() as one, served.connect() as two:
        for client in (one, two):
            client.get()
            client.receive_until(b"data: 1\n\n\r\n")
        start_s = time.monotonic()
        assert start_stop(served, 0.4).result(PATIENCE_S) == 2
        assert time.monotonic() - start_s >= 0.4
        assert endless.running == 0
        assert (one.rest(), two.rest()) == (b"", b"")
        assert served.server.gate.open_connections == 0


def test_running_request_is_finished(serve: Serve) -> None:
    """A request that ends before the deadline is answered whole, and the stop does not wait longer than for it."""
    go_on = threading.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        while not go_on.is_set():
            await asyncio.sleep(0.005)
        await mirror(scope, receive, send)

    with serve(slow) as served, served.connect() as client:
        client.get()
        assert eventually(lambda: len(served.server._state.tasks) == 1)
        stopped = start_stop(served, LATE_S)
        time.sleep(0.3)
        assert not stopped.done()
        go_on.set()
        answer = client.response()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert stopped.result(PATIENCE_S) == 0
        assert client.rest() == b""


def test_conversation_may_be_brought_to_its_end(serve: Serve) -> None:
    """A client in the middle of its body may go on to its end while the server stops."""
    with serve(duplex) as served, served.connect() as client:
        client.send(CHUNKED + b"2\r\nhi\r\n")
        client.receive_until(b"2\r\nhi\r\n")
        stopped = start_stop(served, LATE_S)
        assert eventually(lambda: served.server.gate.is_draining)
        client.send(b"2\r\nho\r\n0\r\n\r\n")
        client.receive_until(b"2\r\nho\r\n0\r\n\r\n")
        assert stopped.result(PATIENCE_S) == 0


def test_queued_requests_count_as_cut_off(serve: Serve) -> None:
    """Requests that waited behind a stream that was cut are counted with it."""
    with serve(Endless()) as served, served.connect() as client:
        client.send(GET * 3)
        client.receive_until(b"data: 1\n\n\r\n")
        assert start_stop(served, 0.1).result(PATIENCE_S) == 3


def test_accepting_stops_first(serve: Serve) -> None:
    """From the first moment of a stop new clients are refused by the kernel, while running ones go on."""
    with serve(duplex) as served, served.connect() as client:
        client.send(CHUNKED)
        client.receive_until(b"\r\n\r\n")
        served._loop.call_soon_threadsafe(served.server.stop_accepting)
        assert eventually(lambda: served.server.gate.is_draining)
        with pytest.raises(
            (ConnectionRefusedError, FileNotFoundError)
        ):  # from Python 3.13 on the loop removes the file
            Client(served.path)
        client.send(b"2\r\nhi\r\n")
        assert client.receive_until(b"2\r\nhi\r\n") == b"2\r\nhi\r\n"


def test_late_connection_is_told(serve: Serve) -> None:
    """A connection that was accepted in the moment of the stop is told to come back."""
    with serve() as served:
        served.server.gate.is_draining = True
        with served.connect() as client:
            answer = client.response()
            assert (answer.status, answer.problem["code"]) == (503, "draining")
            assert answer.headers["retry-after"] == "1"


def test_app_that_will_not_end_does_not_hold_up_the_stop(serve: Serve) -> None:
    """An app that ignores both the end of its client and its cancellation is left behind."""
    go_on = asyncio.Event()

    async def stubborn(scope: Any, receive: Any, send: Any) -> None:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue

    with serve(stubborn) as served, served.connect() as client:
        client.get()
        assert eventually(lambda: len(served.server._state.tasks) == 1)
        assert start_stop(served, 0.1).result(PATIENCE_S) == 1
        served._loop.call_soon_threadsafe(go_on.set)


def test_stop_cuts_clients_that_do_not_read(serve: Serve) -> None:
    """An answer that nobody takes does not hold up the stop beyond its deadline."""

    async def big(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(4 << 20)})

    with serve(big) as served, served.connect() as client:
        client.get()
        assert eventually(lambda: served.server.total_requests == 1)
        start_stop(served, 0.2).result(PATIENCE_S)
        assert served.server.gate.open_connections == 0


def test_idle_server_does_not_wake(serve: Serve) -> None:
    """The clock runs only while there are connections to watch."""
    with serve(keep_alive_s=0.5) as served:
        assert served.server.gate._timer is None
        with served.connect() as client:
            client.get()
            client.response()
            assert served.server.gate._timer is not None
        assert eventually(lambda: served.server.gate._timer is None)


def test_ten_thousand_connects(serve: Serve) -> None:
    """Clients that come and go in great numbers leave nothing behind."""
    with serve(max_connections=1000, max_connections_per_uid=1000) as served:
        gate = served.server.gate
        for total in range(500, 10_001, 500):
            for _ in range(500):
                served.connect().socket.close()
            assert eventually(lambda total=total: gate.accepted == total and gate.open_connections == 0)
        assert gate._per_uid == {}
        assert served.refusals() == {}
