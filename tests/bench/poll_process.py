"""One monitor in a process of its own, as fresh as after a start: polls all there is and tells what that cost, as JSON.

Usage: python -m tests.bench.poll_process REDIS_URL POLLS
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from pathlib import Path

import redis
import uvloop

from rlb.process import calm_collector
from tests.monitor.oracle.subject import monitor_of
from tests.support.cores import settings_of

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """The memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def redis_cpu_s(client: redis.Redis) -> float:
    """CPU seconds that the server has used."""
    said = client.info("cpu")
    return float(said["used_cpu_sys"]) + float(said["used_cpu_user"])


async def main(url: str, polls: int) -> None:
    """Poll, and print the seconds of each poll, wall and CPU here and there, and the memory that the streams take."""
    monitor = monitor_of(settings_of(url, monitor={"scope": "all"}))
    monitor.connect()
    # As in a sidecar, whose loop works with the collector calmed.
    calm_collector()
    client = redis.Redis.from_url(url)
    client.ping()
    before = resident_bytes()
    wall_s, cpu_s, server_s = [], [], []
    for _ in range(polls):
        begun_server_s = redis_cpu_s(client)
        begun_s, begun_cpu_s = time.perf_counter(), time.process_time()
        await monitor.poll()
        wall_s.append(time.perf_counter() - begun_s)
        cpu_s.append(time.process_time() - begun_cpu_s)
        server_s.append(redis_cpu_s(client) - begun_server_s)
    gc.collect()
    said = {
        "streams": monitor.watched,
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "redis_cpu_s": server_s,
        "bytes": resident_bytes() - before,
        "lag": sum(group.lag or 0 for group in monitor.census.groups.values()),
    }
    print(json.dumps(said))
    await monitor.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
