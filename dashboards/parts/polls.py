"""Whether what is polled is fresh, and whether a message gets through at all."""

from __future__ import annotations

from dashboards.grafana.limits import in_words, limit
from dashboards.grafana.panels import Panel, tile, timeseries
from dashboards.grafana.queries import quantile, rate, selector, together, top
from dashboards.grafana.style import BAD, GOOD, NEUTRAL, PER_SECOND, QUANTILES, SECONDS, about, steps
from dashboards.grafana.targets import now, series

LAST = selector("rlb.poll.last_success.timestamp")
NO_POLL = "Nobody polls (RLB_MONITOR__SCOPE=off), or not yet"


def oldest_now() -> Panel:
    return tile(
        "Last poll, the oldest",
        about(
            "Time since the last poll that succeeded, on the instance where it is longest ago. All of lag, streams and "
            "pending is as old as that.",
            bad=f"above {in_words('poll_age_seconds')}.",
            then="*Are polled numbers fresh?* below. Alert: RLBPollStale.",
        ),
        SECONDS,
        now(f"time() - min({LAST})"),
        no_value=NO_POLL,
        thresholds=steps(NEUTRAL, (limit("poll_age_seconds"), BAD)),
        decimals=0,
    )


def age() -> Panel:
    return timeseries(
        "Time since the last poll",
        about(
            "How old polled numbers are, the ten oldest instances.",
            bad=f"above {in_words('poll_age_seconds')}, or many times the interval of polls.",
            then="*Time of a poll* beside: is it longer than the interval? Alert: RLBPollStale.",
        ),
        SECONDS,
        series(top(f"time() - {together('max', LAST, 'instance')}"), "{{instance}}"),
        w=6,
        thresholds=steps("transparent", (limit("poll_age_seconds"), BAD)),
        no_value=NO_POLL,
    )


def duration() -> Panel:
    wanted = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    return timeseries(
        "Time of a poll",
        about(
            "How long a whole poll of all watched streams takes.",
            bad="near the interval of polls (`RLB_MONITOR__INTERVAL_SECONDS`).",
            then="watch fewer streams, poll less often, or leave it to an observer (`rlb observe`).",
        ),
        SECONDS,
        *(series(quantile(q, "rlb.poll.duration"), name) for q, name in wanted),
        w=6,
        colours=QUANTILES,
        no_value=NO_POLL,
    )


def incomplete() -> Panel:
    return timeseries(
        "Streams skipped, commands failed",
        about(
            "Streams left out of a poll as it was over its budget, and commands of polls that failed, by error.",
            bad="skipped for long: the numbers leave streams out. `NOPERM`: Redis does not let rlb ask.",
            then="an observer with a larger budget; `rlb acl` writes the rights that rlb needs.",
        ),
        PER_SECOND,
        series(rate("rlb.poll.streams.skipped"), "skipped"),
        series(top(rate("rlb.poll.errors", "error_type")), "failed {{error_type}}"),
        w=6,
        at_least=1,
        no_value=NO_POLL,
    )


def probes() -> Panel:
    return timeseries(
        "Synthetic round trips",
        about(
            "Messages that rlb sends itself through Redis each second, by outcome.",
            bad="*failed* for minutes: nobody's messages get through.",
            then="`rlb health`; Redis. Alert: RLBProbeFailing.",
        ),
        PER_SECOND,
        series(rate("rlb.probe.attempts", "outcome"), "{{outcome}}"),
        w=6,
        colours={"ok": GOOD, "failed": BAD},
        no_value="No probe is asked for (RLB_MONITOR__PROBE_SECONDS)",
    )
