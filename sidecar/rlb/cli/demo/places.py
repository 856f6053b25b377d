"""Where the demo listens: the usual places where they are free, others where they are not."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket as sockets
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rlb.errors import StartError
from rlb.settings import MetricsSettings


@dataclass(frozen=True, slots=True)
class Place:
    """A socket path and a port (0: none), and a remark where one is not the usual."""

    socket: Path
    port: int
    remarks: tuple[str, ...]


@contextlib.contextmanager
def places(asked: Path | None, usual: Path, metrics: MetricsSettings) -> Iterator[Place]:
    """Free places to listen at; a folder that had to be made for it is removed in the end.

    A socket that was asked for is taken as it is: the sidecar says what is wrong with it.
    """
    remarks = []
    port = _free_port(metrics)
    if port != metrics.port:
        remarks.append(f"port {metrics.port} is taken, so this one has port {port}")
    if asked is not None or (reason := _obstacle(usual)) is None:
        yield Place(asked or usual, port, tuple(remarks))
        return
    remarks.insert(0, f"{reason}; this one has a socket of its own")
    folder = Path(tempfile.mkdtemp(prefix="rlb-demo-"))
    try:
        yield Place(folder / "rlb.sock", port, tuple(remarks))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def program() -> str:
    """How whoever started this would start it again from the same folder."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{Path(sys.executable).name} -m rlb.cli"
    found = shutil.which("rlb")
    if found is not None and Path(found).resolve() == called.resolve():
        return "rlb"
    return min(os.path.relpath(called), str(called.absolute()), key=len)


def _obstacle(path: Path) -> str | None:
    """Why a sidecar cannot listen there; None if it can."""
    from rlb.api.unix_socket import BoundSocket

    try:
        BoundSocket(path).close()
    except StartError as error:
        return str(error).partition(":")[0]
    return None


def _free_port(metrics: MetricsSettings) -> int:
    """The usual port, else one that the kernel gives; 0 if none is wanted.

    With an address that nobody can listen on it is the usual one: the sidecar says what is wrong with it.
    """
    family = sockets.AF_INET6 if ":" in metrics.host else sockets.AF_INET
    for port in (metrics.port, 0) if metrics.port else ():
        with contextlib.suppress(OSError), sockets.create_server((metrics.host, port), family=family) as listener:
            return int(listener.getsockname()[1])
    return metrics.port
