"""A sidecar with an embedded server for the commands to talk to: one for each test process."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.processes import Ran, Running, rlb, wait_until_well
from tests.servers.process import SHORT_TEMPORARY_FOLDER


@dataclass(frozen=True)
class Sidecar:
    """A running sidecar; calls of `rlb` find it by their environment."""

    socket: Path

    def rlb(self, *arguments: str, stdin: str | bytes = b"") -> Ran:
        return rlb(*arguments, stdin=stdin, env={"RLB_SOCKET__PATH": str(self.socket)})


@pytest.fixture(scope="session")
def sidecar() -> Iterator[Sidecar]:
    """A sidecar that gives an entry up after its first delivery."""
    folder = Path(tempfile.mkdtemp(prefix="rlb-", dir=SHORT_TEMPORARY_FOLDER))
    socket = folder / "s"
    arguments = ("run", "--embedded", "--socket-path", str(socket), "--metrics-port", "0", "--log-level", "error")
    with Running(*arguments, env={"RLB_GROUPS__MAX_DELIVERIES": "1"}, stderr=subprocess.DEVNULL):
        wait_until_well(socket)
        yield Sidecar(socket)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def session() -> str:
    """A session id that no other test has."""
    return f"s-{uuid.uuid4().hex[:12]}"
