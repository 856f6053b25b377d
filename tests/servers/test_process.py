"""The test servers: each is the version it says, survives what a test does to it, and is gone afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import hiredis
import pytest
from redis.asyncio import Redis

from tests.conftest import OwnServer, SharedServers
from tests.servers.kinds import VALKEY_9, ServerKind, UnavailableError
from tests.servers.process import RedisServer


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and is not yet collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_each_kind_runs_the_version_in_its_name(server: RedisServer) -> None:
    """What runs is what the test's id says."""
    info = server.command("INFO", "server").decode()
    found = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    brand, _, version = server.kind.name.partition("-")
    assert found.get(f"{brand}_version") == version


async def test_a_shared_server_is_emptied(shared_servers: SharedServers, valkey: RedisServer, redis: Redis) -> None:
    """Data, cached scripts and other clients of one test do not reach the next."""
    await redis.set("key", "value")
    digest = await redis.script_load("return 1")
    assert shared_servers.emptied(VALKEY_9) is valkey
    assert valkey.command("DBSIZE") == 0
    assert valkey.command("SCRIPT", "EXISTS", digest) == [0]
    clients = valkey.command("CLIENT", "LIST").decode()
    assert len(clients.splitlines()) == 1


def test_restart_keeps_the_addresses_and_what_the_config_keeps(own_server: OwnServer) -> None:
    """After a restart the same socket answers, with the data if it was to be kept."""
    kept, lost = own_server(config=("appendonly yes", "appendfsync always")), own_server()
    for server in (kept, lost):
        server.command("SET", "key", "value")
        server.restart()
    assert kept.command("GET", "key") == b"value"
    assert lost.command("GET", "key") is None


def test_a_killed_server_starts_again(own_server: OwnServer) -> None:
    """A crash leaves nothing in the way of the next start, on the socket and on the port."""
    server = own_server(tcp=True)
    pid = server.pid
    server.kill()
    assert not is_alive(pid)
    with pytest.raises(ConnectionRefusedError):
        server.command("PING")
    server.start()
    assert server.command("PING") == b"PONG"
    assert server.command("CONFIG", "GET", "port") == [b"port", str(server.port).encode()]


def test_a_paused_server_answers_once_it_is_resumed(own_server: OwnServer) -> None:
    """Paused, it accepts a connection and says nothing."""
    server = own_server()
    server.pause()
    with pytest.raises(TimeoutError):
        server.command("PING", timeout_s=0.1)
    server.resume()
    assert server.command("PING") == b"PONG"


def test_a_paused_server_can_be_stopped(own_server: OwnServer) -> None:
    """Stopping does not wait for a process that cannot hear it."""
    server = own_server()
    server.pause()
    pid = server.pid
    server.stop()
    assert not is_alive(pid)


def test_config_lines_reach_the_server(own_server: OwnServer) -> None:
    """A user of redis.conf's kind is one that the server then asks for a password."""
    server = own_server(config=("requirepass secret",))
    with pytest.raises(hiredis.HiredisError, match="NOAUTH"):
        server.command("PING")


def test_a_server_that_cannot_start_says_why(own_server: OwnServer) -> None:
    """The server's own words are in the error."""
    with pytest.raises(RuntimeError, match="no-such-option"):
        own_server(config=("no-such-option yes",))


def test_what_is_not_installed_or_another_version_is_unavailable(tmp_path: Path) -> None:
    """A kind that cannot be had is told apart from one that fails."""
    missing = ServerKind("redis-1.0.0", (1, 0, 0), lambda: tmp_path / "redis-server")
    with pytest.raises(UnavailableError, match="does not run"):
        RedisServer(missing)
    other = ServerKind("redis-1.0.0", (1, 0, 0), VALKEY_9.find_binary)
    with pytest.raises(UnavailableError, match="v=9.1.2"):
        RedisServer(other)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes through /proc")
def test_a_server_does_not_outlive_a_killed_test_process() -> None:
    """Even when the tests are killed, server and folder go."""
    script = (
        "import sys; from tests.servers.kinds import VALKEY_9; from tests.servers.process import RedisServer\n"
        "server = RedisServer(VALKEY_9).start(); print(server.pid, server.folder, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        pid, folder = tests.stdout.readline().split()
        assert is_alive(int(pid))
        os.kill(tests.pid, signal.SIGKILL)
    give_up_at_s = time.monotonic() + 10
    while (is_alive(int(pid)) or Path(folder).exists()) and time.monotonic() < give_up_at_s:
        time.sleep(0.01)
    assert not is_alive(int(pid))
    assert not Path(folder).exists()
