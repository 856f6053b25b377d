"""Real sidecars for the client's tests: in this process where that is enough, as a process of its own to be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from rlb.settings import Settings, load_settings
from tests.servers.process import RedisServer

START_TIMEOUT_S = 20.0
RUN = """
import asyncio
from rlb.service import serve
from rlb.settings import load_settings
asyncio.run(serve(load_settings()))
"""


def variables(path: Path, server: RedisServer, **more: str) -> dict[str, str]:
    """The RLB_* variables of a sidecar at `path`."""
    return {
        "RLB_SOCKET__PATH": str(path),
        "RLB_REDIS__URL": server.url,
        "RLB_METRICS__PORT": "0",
        # Not what these tests are about; less than a client waits for acks.
        "RLB_APPEND__DEADLINE_MS": "12000",
        **more,
    }


def settings(path: Path, server: RedisServer, **more: str) -> Settings:
    """The same as settings."""
    return load_settings(environ=variables(path, server, **more))


class SidecarProcess:
    """A sidecar that can be killed and started again at the same path."""

    def __init__(self, path: Path, server: RedisServer, **more: str) -> None:
        self.path = path
        self._environ = {**os.environ, **variables(path, server, **more)}
        self._process: subprocess.Popen[bytes] | None = None
        self._log_path = path.with_suffix(".log")

    def start(self) -> SidecarProcess:
        """Start it and return once it listens."""
        assert self._process is None
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", RUN], env=self._environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        give_up_at_s = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self._process.poll() is None, self._log_path.read_text()
            assert time.monotonic() < give_up_at_s, self._log_path.read_text()
            time.sleep(0.01)
        return self

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in the orderly way."""
        self._end(signal.SIGTERM)

    def pause(self) -> None:
        """Freeze it: connections stay open, and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.path)) == 0

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
