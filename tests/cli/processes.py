"""`rlb` as a process of its own, with nothing of this machine's settings, and never without a deadline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PATIENCE_S = 30.0
COMMAND = (sys.executable, "-m", "rlb.cli")


def clean_environment(**changes: str) -> dict[str, str]:
    """This environment without settings of rlb or of a terminal."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RLB_")}
    return {**kept, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "80", **changes}


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """What it printed, as one JSON value a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def good(self) -> Self:
        """Itself, if it ended well."""
        assert self.code == 0, f"exit code {self.code}: {self.err}"
        return self


def rlb(*arguments: str, stdin: str | bytes = b"", env: Mapping[str, str] | None = None) -> Ran:
    """Run a command to its end."""
    ran = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        env=clean_environment(**(env or {})),
        timeout=PATIENCE_S,
        check=False,
    )
    assert b"Traceback" not in ran.stderr, ran.stderr.decode()
    return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())


class Running:
    """A command that goes on until it is told to stop; killed at the end of the block if it has not ended."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> None:
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=clean_environment(**(env or {})),
            text=True,
            bufsize=1,
            **{**streams, **options},
        )

    def read_line(self) -> str:
        """The next line of its output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, number: signal.Signals | None = None) -> Ran:
        """Send a signal, or none, and wait for the end."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return Ran(self.process.returncode, out or "", err or "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def wait_until_well(socket: Path) -> None:
    """Return as soon as the sidecar there says that all is well."""
    end_s = time.monotonic() + PATIENCE_S
    while (ran := rlb("health", "--socket", str(socket))).code != 0:
        assert time.monotonic() < end_s, ran.err or ran.out
        time.sleep(0.05)
