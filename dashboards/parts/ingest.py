"""Between the apps' socket and Redis."""

from __future__ import annotations

from dashboards.grafana.panels import Panel, heat, tile, timeseries
from dashboards.grafana.queries import buckets, level, quantile, rate, top
from dashboards.grafana.style import BYTES_PER_SECOND, COUNT, QUANTILES, SECONDS, about
from dashboards.grafana.targets import cells, now, series

NO_SIDECAR = "No sidecar"


def connections_now() -> Panel:
    return tile(
        "Connections",
        about(
            "Open connections of the Unix sockets.",
            bad="0 where apps run: they do not find the socket.",
            then="`rlb health` in the pod; is the socket's folder mounted in the app's container?",
        ),
        COUNT,
        now(level("rlb.ingest.connections")),
        no_value=NO_SIDECAR,
    )


def connections() -> Panel:
    return timeseries(
        "Connections by role",
        about(
            "Open connections of the Unix sockets: *producer* writes, *consumer* reads, *admin* looks on.",
            bad="it only grows: an app opens connections and does not close them.",
            then="the app; `rlb health` in the pod.",
        ),
        COUNT,
        series(level("rlb.ingest.connections", "role"), "{{role}}"),
        w=8,
        no_value=NO_SIDECAR,
    )


def queue_time() -> Panel:
    wanted = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    return timeseries(
        "Time in the queue",
        about(
            "Time from the socket to the write, of the oldest message of each write.",
            bad="p99 above 10 ms for long.",
            then="*Commands of Redis p95*, *Event loop delay p99*.",
        ),
        SECONDS,
        *(series(quantile(q, "rlb.ingest.queue.duration"), name) for q, name in wanted),
        w=8,
        colours=QUANTILES,
    )


def batches() -> Panel:
    return heat(
        "Messages of a write",
        about(
            "How many messages leave in one write. More at once is better use of Redis, and means that they wait.",
            bad="a band at hundreds: Redis does not keep up.",
            then="*Does Redis keep up?*.",
        ),
        COUNT,
        cells(buckets("rlb.write.batch.size")),
        w=8,
    )


def accepted_bytes() -> Panel:
    return timeseries(
        "Bytes accepted",
        about(
            "Bytes of the messages accepted from apps, as they are written, the ten largest models.",
            bad="far more than the tokens explain: large `metadata`.",
            then="the app's messages: `rlb tail` shows them.",
        ),
        BYTES_PER_SECOND,
        series(top(rate("rlb.ingest.size", "model")), "{{model}}"),
        w=8,
        stacked=True,
        no_value="No app sends through these sidecars",
    )
