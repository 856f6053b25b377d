"""What a sidecar takes of its pod: memory at rest and with Redis hung and its buffer full, and the CPU of a probe."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.servers.process import RedisServer

FLOODS = 12
"""Streams that are written to: more than fill the whole buffer, as each may fill an eighth of it."""

FLOOD_S = 4.0
"""Less than the deadline of a write, so that nothing is given up meanwhile."""

PROBES = 5


@dataclass(frozen=True)
class Footprint:
    """Resident memory in MiB, and the CPU seconds of one `rlb health live`."""

    at_rest_mib: float
    full_mib: float
    probe_s: float

    def sentence(self) -> str:
        """For the end of a bench."""
        return (
            f"a sidecar: {self.at_rest_mib:.0f} MiB at rest, {self.full_mib:.0f} MiB with Redis hung and its buffer "
            f"full of short tokens; one probe over the socket: {self.probe_s:.2f} CPU seconds"
        )


def footprint(
    server: RedisServer, start: Callable[[str, Path], AbstractContextManager[tuple[Path, int]]], folder: Path
) -> Footprint:
    """Measure a sidecar of its own."""
    with start(server.url, folder) as (path, pid):
        time.sleep(1)
        at_rest = memory_mib(pid, "VmRSS")
        probe_s = _probe_s(path)
        # Each stream is claimed while Redis answers, so that what follows is on its way as well as in the buffer.
        hung = threading.Event()
        floods = [threading.Thread(target=_flood, args=(path, f"s-{n}", hung)) for n in range(FLOODS)]
        for flood in floods:
            flood.start()
        time.sleep(0.5)
        server.pause()
        hung.set()
        try:
            for flood in floods:
                flood.join()
            return Footprint(at_rest, memory_mib(pid, "VmHWM"), probe_s)
        finally:
            server.resume()


def memory_mib(pid: int, what: str) -> float:
    """`VmRSS`, resident now, or `VmHWM`, the most that ever was."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(what)


def _flood(path: Path, session: str, hung: threading.Event) -> None:
    """Write short tokens, and more when Redis hangs, until the sidecar takes no more or the time is over."""
    line = json.dumps({"sessionId": session, "modelId": "m", "token": "token"}).encode() + b"\n"
    chunk = line * 100
    framed = b"%x\r\n%b\r\n" % (len(chunk), chunk)
    with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
        connection.connect(str(path))
        connection.settimeout(FLOOD_S)
        connection.sendall(
            b"POST /v1/tokens HTTP/1.1\r\nHost: rlb\r\nContent-Type: application/x-ndjson\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        connection.sendall(framed)
        hung.wait()
        end_s = time.monotonic() + FLOOD_S
        while (left_s := end_s - time.monotonic()) > 0:
            connection.settimeout(left_s)
            connection.sendall(framed)


def _probe_s(path: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(PROBES):
        command = [sys.executable, "-m", "rlb.cli", "health", "live"]
        subprocess.run(command, env=os.environ | {"RLB_SOCKET__PATH": str(path)}, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / PROBES
