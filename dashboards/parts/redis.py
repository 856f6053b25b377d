"""The sidecars' way to Redis."""

from __future__ import annotations

from dashboards.grafana.limits import in_words, limit
from dashboards.grafana.panels import Panel, heat, timeseries
from dashboards.grafana.queries import buckets, count_rate, level, quantile, rate, top
from dashboards.grafana.style import BAD, COUNT, MESSAGES_PER_SECOND, SECONDS, about, steps
from dashboards.grafana.targets import cells, series

OPERATION = "messaging.client.operation.duration"
NO_SIDECAR = "No sidecar"


def commands() -> Panel:
    return timeseries(
        "Commands of Redis p95",
        about(
            "Round trips to Redis by command, 95 of 100; the time that a read may block for is left out.",
            bad="above 10 ms for long: Redis or the network is slow.",
            then="`SLOWLOG GET` and `INFO commandstats` in Redis; the heatmap beside.",
        ),
        SECONDS,
        series(quantile(0.95, OPERATION, "messaging_operation_name"), "{{messaging_operation_name}}", exemplars=True),
        w=8,
    )


def writes() -> Panel:
    return heat(
        "Times of writes",
        about(
            "How many writes (XADD) take which time.",
            bad="a band that rises, or a second one far above.",
            then="narrow to an instance at the top: one pod, or all?",
        ),
        SECONDS,
        cells(buckets(OPERATION, where={"messaging_operation_name": '="XADD"'})),
        w=8,
    )


def rates() -> Panel:
    by = ("messaging_operation_name", "error_type")
    return timeseries(
        "Round trips",
        about(
            "Round trips to Redis each second by command, and by kind of error where they failed.",
            bad="lines with an error.",
            then="the dashboard *Overview*, *Failed writes, retries and polls*.",
        ),
        "count:/s",
        series(count_rate(OPERATION, by), "{{messaging_operation_name}} {{error_type}}"),
        w=8,
    )


def retries() -> Panel:
    return timeseries(
        "Messages sent again",
        about(
            "Messages sent to Redis again, by what went wrong before.",
            bad="for minutes: each is sent until it is written or given up (*dropped*).",
            then="Redis' log; a fail-over shows as `READONLY` or `unavailable`. Alert: RLBWriteErrorBudgetBurn.",
        ),
        MESSAGES_PER_SECOND,
        series(top(rate("rlb.write.retries", "error_type")), "{{error_type}}"),
        series(rate("rlb.write.dropped", "reason"), "dropped {{reason}}"),
        w=8,
        at_least=1,
        no_value=NO_SIDECAR,
    )


def connections() -> Panel:
    return timeseries(
        "Connections to Redis",
        about(
            "Connections of all sidecars by pool, in use or not.",
            bad="it only grows, or comes near Redis' `maxclients`.",
            then="`CLIENT LIST` in Redis; how many pods are there?",
        ),
        COUNT,
        series(
            level("db.client.connection.count", "db_client_connection_pool_name"),
            "{{db_client_connection_pool_name}}",
        ),
        w=8,
        stacked=True,
        no_value=NO_SIDECAR,
    )


def clock() -> Panel:
    skew = level("rlb.redis.clock.skew", "instance", how="max")
    return timeseries(
        "Clock of Redis less clock here",
        about(
            "Ages are measured between clocks; this is by how much they differ, the ten instances furthest off.",
            bad=f"above {in_words('clock_skew_seconds')} or below minus that: all ages are wrong by as much.",
            then="time synchronisation (NTP) of that node and of Redis' host. Alert: RLBClockSkew.",
        ),
        SECONDS,
        series(f"{skew} and {top(f'abs({skew})')}", "{{instance}}"),
        w=8,
        lowest=None,
        thresholds=steps("transparent", (limit("clock_skew_seconds"), BAD)),
        no_value="Not known: Redis is not reached",
    )
