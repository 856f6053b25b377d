"""One row for each sidecar and observer."""

from __future__ import annotations

from dashboards.grafana.limits import limit
from dashboards.grafana.links import CELL, drill_down
from dashboards.grafana.panels import Panel
from dashboards.grafana.queries import WINDOW, level, ours, quantile, rate, selector, together
from dashboards.grafana.style import BYTES, COUNT, SECONDS, SHARE, TIME, TOKENS_PER_SECOND, about, bad_above, bad_below
from dashboards.grafana.tables import Column, Key, table


def instances() -> Panel:
    by = ("namespace", "pod", "instance")

    def of_process(expression: str) -> str:
        return together("max", ours(expression), by)

    fill = f"{level('rlb.ingest.queue.size', by)} / {level('rlb.ingest.queue.size.limit', by)}"
    late = quantile(0.99, "rlb.eventloop.lag", by)
    last = together("max", selector("rlb.poll.last_success.timestamp"), by)
    return table(
        "Instances",
        about(
            "Sidecars and observers at this moment. Click an instance to narrow this dashboard to it.",
            bad="a red cell. *Up* 0: Prometheus does not reach it.",
            then="`rlb health` in that pod, and its log. Alerts: RLBDown, RLBRedisDown, RLBPollStale.",
        ),
        (
            Key("instance", "Instance", drill_down("rlb-sidecar", instance=CELL), "Only this one", width=200),
            Key("pod", "Pod"),
            Key("namespace", "Namespace"),
        ),
        Column("Up", COUNT, of_process(selector("up")), bad_below(1)),
        Column("Redis", COUNT, level("rlb.redis.up", by, how="min"), bad_below(1)),
        Column("Started", TIME, of_process(f"1000 * {selector('process_start_time_seconds')}")),
        Column("Tokens", TOKENS_PER_SECOND, rate("rlb.ingest.tokens", by)),
        Column("Clients", COUNT, level("rlb.ingest.connections", by)),
        Column("Queue", SHARE, fill, bad_above(limit("queue_ratio")), decimals=1),
        Column("Last poll", SECONDS, f"time() - {last}", bad_above(limit("poll_age_seconds")), decimals=0),
        Column("Loop p99", SECONDS, late, bad_above(limit("event_loop_lag_seconds"))),
        Column("CPU", SHARE, of_process(f"rate({selector('process_cpu_seconds_total')}[{WINDOW}])"), decimals=0),
        Column("Memory", BYTES, of_process(selector("process_resident_memory_bytes"))),
        Column("Series", COUNT, of_process(selector("scrape_samples_scraped"))),
        h=9,
        no_value="No sidecar in the last hour: is rlb scraped?",
        sort="Tokens",
    )
