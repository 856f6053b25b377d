"""A server program that a test starts, waits for, and ends."""

from __future__ import annotations

import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE_S = 30.0


PORTS = range(20_000, 32_000)
"""Below those that systems give out by themselves: one of these would soon be somebody else's."""


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    while True:
        port = secrets.choice(PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Started:
    """A process with its log in a file, ended with the block."""

    _process: subprocess.Popen[bytes]
    _log: Path

    def _start(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file)

    def until(self, holds: Callable[[Self], object]) -> None:
        """Wait, blocking, until the condition holds; it may not answer yet."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                if holds(self):
                    return
            except OSError:
                assert self._process.poll() is None, self.log
            assert time.monotonic() < until_s, self.log
            time.sleep(0.1)

    @property
    def log(self) -> str:
        """What it says of itself, the end of it."""
        return self._log.read_text()[-2000:]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
