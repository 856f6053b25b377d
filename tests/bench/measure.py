"""What a run cost: wall time, and the CPU time of the processes that took part."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU seconds (user and system) that a process has used, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


@dataclass(frozen=True)
class Cost:
    """One run: messages a second, and microseconds of CPU a message in the app, the sidecar and Redis."""

    name: str
    messages: int
    wall_s: float
    app_us: float
    sidecar_us: float | None
    redis_us: float

    @property
    def per_second(self) -> float:
        """Messages a second."""
        return self.messages / self.wall_s


class Stopwatch:
    """Measures from its making to `stop`."""

    def __init__(self, redis_pid: int, sidecar_pid: int | None) -> None:
        self._redis_pid = redis_pid
        self._sidecar_pid = sidecar_pid
        self._redis_s = cpu_s(redis_pid)
        self._sidecar_s = cpu_s(sidecar_pid) if sidecar_pid is not None else 0.0
        self._app_s = time.process_time()
        self._wall_s = time.perf_counter()

    def stop(self, name: str, messages: int) -> Cost:
        """The cost since the start."""
        wall_s = time.perf_counter() - self._wall_s
        app_s = time.process_time() - self._app_s
        sidecar_us = None
        if self._sidecar_pid is not None:
            sidecar_us = (cpu_s(self._sidecar_pid) - self._sidecar_s) / messages * 1e6
        redis_us = (cpu_s(self._redis_pid) - self._redis_s) / messages * 1e6
        return Cost(name, messages, wall_s, app_s / messages * 1e6, sidecar_us, redis_us)
