"""One row for each sidecar and observer."""

from __future__ import annotations

from dashboards.grafana.limits import limit
from dashboards.grafana.links import CELL, drill_down
from dashboards.grafana.panels import Panel
from dashboards.grafana.queries import WINDOW, level, ours, quantile, rate, selector, together
from dashboards.grafana.style import (
    BAD,
    BYTES,
    COUNT,
    NEUTRAL,
    SECONDS,
    SHARE,
    TIME,
    TOKENS_PER_SECOND,
    about,
    bad_above,
)
from dashboards.grafana.tables import Column, Key, table

STATES = {1: ("up", NEUTRAL), 0: ("down", BAD)}
ROLES = {1: ("polls", NEUTRAL), 0: ("stands by", NEUTRAL)}


def instances() -> Panel:
    by = ("namespace", "pod", "instance")

    def of_process(expression: str) -> str:
        return together("max", ours(expression), by)

    fill = f"{level('rlb.ingest.queue.size', by)} / {level('rlb.ingest.queue.size.limit', by)}"
    files = f"({selector('process_open_fds')} / {selector('process_max_fds')})"
    late = quantile(0.99, "rlb.eventloop.lag", by)
    last = together("max", selector("rlb.poll.last_success.timestamp"), by)
    return table(
        "Instances",
        about(
            "Sidecars and observers at this moment. Click an instance to narrow this dashboard to it.",
            bad="a red cell. *Reached* is by Prometheus. Of observers one *polls*, the others stand by.",
            then="`rlb health` in that pod, and its log. Alerts: RLBDown, RLBRedisDown, RLBPollStale.",
        ),
        (
            Key("instance", "Instance", drill_down("rlb-sidecar", instance=CELL), "Only this one", width=165),
            Key("pod", "Pod", width=170),
            Key("namespace", "Namespace", width=100),
        ),
        Column("Reached", COUNT, of_process(selector("up")), words=STATES),
        Column("Redis", COUNT, level("rlb.redis.up", by, how="min"), words=STATES),
        Column("Started", TIME, of_process(f"1000 * {selector('process_start_time_seconds')}"), width=135),
        Column("Tokens", TOKENS_PER_SECOND, rate("rlb.ingest.tokens", by)),
        Column("Clients", COUNT, level("rlb.ingest.connections", by)),
        Column("Observer", COUNT, level("rlb.monitor.leader", by), words=ROLES),
        Column("Queued", COUNT, level("rlb.ingest.queue.length", by)),
        Column("Queue", SHARE, fill, bad_above(limit("queue_ratio")), decimals=1),
        Column("Last poll", SECONDS, f"time() - {last}", bad_above(limit("poll_age_seconds")), decimals=0),
        Column("Loop p99", SECONDS, late, bad_above(limit("event_loop_lag_seconds"))),
        Column("CPU", SHARE, of_process(f"rate({selector('process_cpu_seconds_total')}[{WINDOW}])"), decimals=0),
        Column("Files", SHARE, of_process(files), bad_above(0.8), decimals=1),
        Column("Memory", BYTES, of_process(selector("process_resident_memory_bytes"))),
        Column("Series", COUNT, of_process(selector("scrape_samples_scraped"))),
        h=7,
        no_value="No sidecar in the last hour: is rlb scraped?",
        sort="Tokens",
    )
