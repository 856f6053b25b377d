"""The demo on a sidecar with all that can be on: `python -m tests.dashboards.demo_load SOCKET PORT REDIS`.

The command `rlb demo` fixes its settings and brings a Redis along; here another process can look at the same Redis.
"""

from __future__ import annotations

import sys

import uvloop

from rlb.cli.demo import stage
from rlb.cli.demo.report import Places
from rlb.cli.demo.show import JsonShow
from rlb.service import Service
from rlb.settings import Settings, load_settings

CHATS = 12
FEATURES: dict[str, str | float] = {
    "monitor.interval_seconds": 0.5,
    "monitor.idle_interval_seconds": 0.5,
    "monitor.probe_seconds": 0.5,
    "monitor.top_streams": 5,
    "stream.retention_ms": 600_000,
    "drain_s": 0.2,
}


def on_given_redis(settings: Settings, *, embedded: bool) -> Service:
    """The sidecar without a server of its own."""
    return Service(settings, embedded=not embedded)


def main(socket: str, port: str, redis_url: str) -> None:
    """Run until it is told to end."""
    flags = {**FEATURES, "socket.path": socket, "metrics.port": port, "redis.url": redis_url}
    settings = load_settings(flags=flags, environ={})
    stage.Service = on_given_redis  # type: ignore[attr-defined]
    places = Places(program="rlb", socket=socket, is_default_socket=False, health_url="")
    uvloop.run(stage.run(settings, places, JsonShow(), chats=CHATS, duration_s=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
