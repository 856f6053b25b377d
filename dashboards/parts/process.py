"""What a sidecar's process uses."""

from __future__ import annotations

from dashboards.grafana.limits import in_words, limit
from dashboards.grafana.panels import Panel, timeseries
from dashboards.grafana.queries import level, ours, quantile, selector, top
from dashboards.grafana.style import BAD, BYTES, SECONDS, SHARE, about, steps
from dashboards.grafana.targets import series


def queue(w: int = 6) -> Panel:
    """Between the socket and Redis."""
    fill = f"{level('rlb.ingest.queue.size', 'instance')} / {level('rlb.ingest.queue.size.limit', 'instance')}"
    return timeseries(
        "Queue, of its limit",
        about(
            "Memory of messages taken from apps and not yet answered, against the limit, the ten fullest sidecars.",
            bad=f"above {in_words('queue_ratio')}: Redis does not take what apps send. At 100 % messages are refused.",
            then="*Sidecar internals*: how long commands take. Alert: RLBQueueSaturated.",
        ),
        SHARE,
        series(top(fill), "{{instance}}"),
        w=w,
        thresholds=steps("transparent", (limit("queue_ratio"), BAD)),
        highest=1,
        no_value="No sidecar",
    )


def event_loop(w: int = 6) -> Panel:
    """Whether the process itself is slow."""
    return timeseries(
        "Event loop delay p99",
        about(
            "How much later than asked the sidecar ran a timer, 99 of 100, the ten slowest.",
            bad=f"above {in_words('event_loop_lag_seconds')}: too little CPU, and everything in the process waits.",
            then="*CPU* beside; raise the container's CPU limit. Alert: RLBEventLoopLag.",
        ),
        SECONDS,
        series(top(quantile(0.99, "rlb.eventloop.lag", "instance")), "{{instance}}"),
        w=w,
        no_value="No sidecar",
    )


def cpu(w: int = 6) -> Panel:
    """CPU time."""
    used = f"rate({selector('process_cpu_seconds_total')}[$__rate_interval])"
    return timeseries(
        "CPU, of one core",
        about(
            "CPU that a sidecar uses; 100 % is one core, and a sidecar cannot use more. The ten busiest.",
            bad="near 100 %, or near the container's limit.",
            then="spread the apps over more pods, or raise the limit.",
        ),
        SHARE,
        series(top(ours(used)), "{{instance}}"),
        w=w,
        no_value="No sidecar",
    )


def memory(w: int = 6) -> Panel:
    """Memory."""
    return timeseries(
        "Memory",
        about(
            "Resident memory of a sidecar, the ten largest.",
            bad="a line that only grows, or comes near the container's limit.",
            then="*Sidecar internals*: queue, connections, series. Then `rlb health` in the pod.",
        ),
        BYTES,
        series(top(ours(selector("process_resident_memory_bytes"))), "{{instance}}"),
        w=w,
        no_value="No sidecar",
    )
