"""A sidecar as a process of its own, as an operator runs it: with signals, an exit code and a log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.api.served import Client

PATIENCE_S = 45.0


class SidecarProcess:
    """`rlb run` from `with` to the end of the block, at a socket of its own; settings are RLB_* variables."""

    program = ("-m", "rlb.cli")
    """What Python runs."""

    def __init__(self, path: Path, redis_url: str, **variables: str) -> None:
        self.path = path
        self._log_path = path.with_suffix(".log")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RLB_")}
        self._environment = {
            **kept,
            "RLB_SOCKET__PATH": str(path),
            "RLB_REDIS__URL": redis_url,
            "RLB_METRICS__PORT": "0",
            "RLB_LOG__LEVEL": "debug",
            **variables,
        }

    def __enter__(self) -> Self:
        self.started_s = time.monotonic()
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.program, "run"], env=self._environment, stdin=subprocess.DEVNULL, stderr=log
            )
        return self

    def listening(self) -> float:
        """Wait until it accepts connections; the seconds since its start."""
        while True:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < self.started_s + PATIENCE_S, self.log
            try:
                Client(self.path).__exit__(None, None, None)
            except OSError:
                time.sleep(0.002)
            else:
                return time.monotonic() - self.started_s

    def waited_for_a_core(self) -> float:
        """Seconds that it was ready to run and another process did: those say nothing about it."""
        path = Path(f"/proc/{self.process.pid}/schedstat")
        return int(path.read_text().split()[1]) / 1e9 if path.exists() else 0.0

    def connect(self) -> Client:
        """A blocking client that speaks bytes."""
        return Client(self.path)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Its exit code, once it has one."""
        return self.process.wait(PATIENCE_S)

    @property
    def log(self) -> str:
        return self._log_path.read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it has logged of an event."""
        lines = [json.loads(line) for line in self.log.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
