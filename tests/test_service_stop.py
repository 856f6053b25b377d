"""The end of a sidecar: in order and in time, with everything that it took written, or told."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from tests.api.served import Client, eventually
from tests.conftest import OwnServer
from tests.servers.process import RedisServer
from tests.support.http import token
from tests.support.process import SidecarProcess
from tests.support.sidecar import EACH_LOOP, RunningSidecar, settings_of

HEAD = b"POST /v1/tokens HTTP/1.1\r\nHost: rlb\r\nContent-Type: application/x-ndjson\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
DRAIN_S = 1.0


class Busy(threading.Thread):
    """A producer that writes as fast as it is let to one stream, until its answer ends."""

    def __init__(self, client: Client, name: str) -> None:
        super().__init__(name=name)
        self.client = client
        self.sent = 0
        self.answers: list[dict[str, Any]] = []
        self.is_whole = False
        self._is_over = threading.Event()

    def run(self) -> None:
        writing = threading.Thread(target=self._write)
        writing.start()
        try:
            self.answers = [json.loads(line) for line in self.client.response().body.splitlines()]
            self.is_whole = True
        finally:
            self._is_over.set()
            writing.join()

    def _write(self) -> None:
        try:
            self.client.send(CHUNKED)
            while not self._is_over.is_set():
                bodies = [
                    {"sessionId": self.name, "modelId": "m", "token": "x", "ref": self.sent + number}
                    for number in range(5)
                ]
                body = b"".join(json.dumps(each).encode() + b"\n" for each in bodies)
                self.client.send(b"%x\r\n%b\r\n" % (len(body), body))
                self.sent += len(bodies)
                time.sleep(0.001)
        except OSError:
            pass  # the sidecar has gone: what it had not answered was not accepted


def codes(answers: list[dict[str, Any]]) -> set[str | None]:
    return {answer["error"]["code"] if "error" in answer else None for answer in answers}


# Longer than anybody waits for the end of a sidecar.
_READ = json.dumps({"sessionId": "s", "modelId": "m", "group": "g", "consumer": "c", "blockMs": 60_000}).encode()
LONG_READ = b"POST /v1/messages/read HTTP/1.1\r\nHost: rlb\r\nContent-Length: %d\r\n\r\n%b" % (len(_READ), _READ)
IS_READING = 'rlb_ingest_connections{role="consumer"} 1.0'


def metrics(sidecar: SidecarProcess | RunningSidecar) -> str:
    """What it tells of itself, over a connection of its own."""
    with sidecar.connect() as client:
        client.get("/metrics")
        return client.response().body.decode()


def test_sigterm_under_load(short_tmp: Path, valkey: RedisServer, record_property: Any) -> None:
    """Every line it took is acked and stands in the stream, every other one is told, as are tails; it ends well."""
    drain_s = 15.0
    settings = {"RLB_DRAIN_S": str(drain_s), "RLB_APPEND__DEADLINE_MS": "60000"}
    with ExitStack() as at_exit:
        sidecar = at_exit.enter_context(SidecarProcess(short_tmp / "s", valkey.url, **settings))
        sidecar.listening()
        producers = [Busy(at_exit.enter_context(sidecar.connect()), f"s-{number}") for number in range(4)]
        for producer in producers:
            producer.start()
        while any(producer.sent < 500 for producer in producers):
            time.sleep(0.01)
        tails = [at_exit.enter_context(sidecar.connect()) for _ in producers]
        for number, tail in enumerate(tails):
            tail.get(f"/v1/tail?sessionId=s-{number}&modelId=m&waitMs=5000")
            assert tail.receive().startswith(b"HTTP/1.1 200 ")
        # What a tail cannot read fills its socket, and would be cut off: they read on, as readers do.
        ends: dict[int, bytes] = {}
        reading = [
            threading.Thread(target=lambda number=number, tail=tail: ends.update({number: tail.rest()}))
            for number, tail in enumerate(tails)
        ]
        for thread in reading:
            thread.start()
        time.sleep(0.3)
        start_s = time.monotonic()
        sidecar.send(signal.SIGTERM)
        assert sidecar.ended() == 0
        seconds = time.monotonic() - start_s
        for thread in (*producers, *reading):
            thread.join()
        (drained,) = sidecar.events("service.drained")
        assert (drained["unwritten_messages"], drained["cut_off_requests"]) == (0, 0)
        assert sidecar.events("service.signal")[0]["signal"] == "SIGTERM"
    assert seconds < drain_s
    assert not (short_tmp / "s").exists()
    assert not (short_tmp / "s.lock").exists()
    acked = refused = 0
    for number, producer in enumerate(producers):
        assert producer.is_whole
        assert [answer["ref"] for answer in producer.answers] == list(range(len(producer.answers)))
        assert len(producer.answers) <= producer.sent + 5
        assert codes(producer.answers) <= {None, "draining"}
        rows = valkey.command("XRANGE", f"llm:stream:s-{number}:m", "-", "+")
        entries = [row[0].decode() for row in rows]
        assert [answer["entryId"] for answer in producer.answers if "entryId" in answer][-len(entries) :] == entries
        info = valkey.command("XINFO", "STREAM", f"llm:stream:s-{number}:m")
        assert info[info.index(b"entries-added") + 1] == sum("entryId" in answer for answer in producer.answers)
        acked += sum("entryId" in answer for answer in producer.answers)
        refused += sum("error" in answer for answer in producer.answers)
    for end in ends.values():
        assert b"event: error\ndata: " in end
        assert b'"code":"draining"' in end.rpartition(b"event: error")[2]
        assert end.endswith(b"0\r\n\r\n")
    print(f"SIGTERM under load: {acked} acked, {refused} told to come again, ended in {seconds:.3f} s")  # noqa: T201
    record_property("drained_in_s", round(seconds, 3))


def end_without_redis(short_tmp: Path, server: RedisServer) -> bytes:
    """Have a sidecar end with seven lines on their way to a Redis that has gone; what their app is told in the end."""
    settings = {"RLB_DRAIN_S": str(DRAIN_S), "RLB_APPEND__DEADLINE_MS": "60000"}
    with SidecarProcess(short_tmp / "s", server.url, **settings) as sidecar:
        sidecar.listening()
        with sidecar.connect() as client:
            body = json.dumps(token()).encode()
            client.send(CHUNKED + b"%x\r\n%b\n\r\n" % (len(body) + 1, body))
            assert b'"sequence":1' in client.receive_until(b"}\n\r\n")
            server.kill()
            client.send(b"%x\r\n%b\r\n" % (7 * (len(body) + 1), 7 * (body + b"\n")))
            assert eventually(lambda: "rlb_ingest_queue_length 7.0" in metrics(sidecar))
            sidecar.send(signal.SIGTERM)
            assert sidecar.ended() == 0
            rest = client.rest()
        (drained,) = sidecar.events("service.drained")
    assert drained["level"] == "warning"
    assert drained["unwritten_messages"] == 7
    return rest


def test_sigterm_while_redis_is_away(short_tmp: Path, own_server: OwnServer) -> None:
    """What cannot be written is counted in the log, and the end comes in time all the same."""
    end_without_redis(short_tmp, own_server())


def test_what_a_drain_could_not_write_is_told(short_tmp: Path, own_server: OwnServer) -> None:
    """An app whose messages could not be written any more is told so line by line, rather than cut off."""
    assert end_without_redis(short_tmp, own_server()).count(b'"error"') == 7


def test_sigterm_with_nothing_to_do(short_tmp: Path, valkey: RedisServer) -> None:
    """An idle sidecar with idle connections does not wait for anything."""
    with SidecarProcess(short_tmp / "s", valkey.url, RLB_DRAIN_S="60") as sidecar:
        sidecar.listening()
        with sidecar.connect() as client, sidecar.connect():
            client.get("/livez")
            assert client.response().status == 200
            sidecar.send(signal.SIGTERM)
            assert sidecar.ended() == 0


def test_a_second_signal_ends_it_at_once(short_tmp: Path, valkey: RedisServer) -> None:
    """Who does not want to wait for the drain says so twice."""
    valkey.command("XGROUP", "CREATE", "llm:stream:s:m", "g", "0", "MKSTREAM")
    with SidecarProcess(short_tmp / "s", valkey.url, RLB_DRAIN_S="60") as sidecar:
        sidecar.listening()
        with sidecar.connect() as client:
            client.send(LONG_READ)
            assert eventually(lambda: IS_READING in metrics(sidecar))
            sidecar.send(signal.SIGTERM)
            assert eventually(lambda: bool(sidecar.events("service.signal")))
            time.sleep(0.2)
            assert sidecar.process.poll() is None
            sidecar.send(signal.SIGTERM)
            assert sidecar.ended() == -signal.SIGTERM


@EACH_LOOP
async def test_a_drain_is_bounded(short_tmp: Path, valkey: RedisServer, redis: Redis, loop: str) -> None:
    """A call that would go on for longer is cut off at the deadline; what a read was to get goes to nobody else."""
    await redis.xgroup_create("llm:stream:s:m", "g", "0", mkstream=True)
    sidecar = RunningSidecar(settings_of(short_tmp / "s", valkey.url, drain_s=0.5), loop=loop)
    with sidecar, sidecar.connect() as client:
        client.send(LONG_READ)
        assert eventually(lambda: IS_READING in metrics(sidecar))
        start_s = time.monotonic()
        sidecar.begin_stop()
        await asyncio.to_thread(sidecar.wait)
        assert time.monotonic() - start_s > 0.4
        assert client.rest() == b""
