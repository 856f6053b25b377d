"""The numbers at the top of the dashboard of streams."""

from __future__ import annotations

from dashboards.grafana.panels import Panel, tile
from dashboards.grafana.queries import level, together
from dashboards.grafana.style import BYTES, COUNT, SHARE, about
from dashboards.grafana.targets import now


def streams() -> Panel:
    """How many there are."""
    return tile(
        "Streams",
        about(
            "Streams that are watched.",
            bad="far more than sessions that live.",
            then="*How much is kept?* below.",
        ),
        COUNT,
        now(level("rlb.stream.count")),
        no_value="No stream is watched",
    )


def stored() -> Panel:
    """How much is in them."""
    return tile(
        "Messages kept",
        about(
            "Messages in all streams.",
            bad="it only grows.",
            then="*How fast does it turn over?* below.",
        ),
        COUNT,
        now(level("rlb.stream.length")),
        no_value="No stream is watched",
    )


def stream_memory() -> Panel:
    """What it costs."""
    return tile(
        "Memory in Redis",
        about(
            "Memory of all streams, estimated from a sample of them.",
            bad="near Redis' `maxmemory`.",
            then="*How much is kept?* below.",
        ),
        BYTES,
        now(level("rlb.stream.memory")),
        no_value="Not known on this server",
    )


def fullest() -> Panel:
    """How near to trimming."""
    share = f"{level('rlb.stream.length.max', 'model')} / {level('rlb.stream.retention.limit', 'model')}"
    return tile(
        "Longest stream, of its limit",
        about(
            "Messages in the longest stream against the length at which it is trimmed.",
            bad="100 % while a group is behind on it.",
            then="*Is anyone losing data?* below. Alert: RLBStreamNearCapacity.",
        ),
        SHARE,
        now(together("max", share)),
        no_value="No limit, or no stream",
    )
