"""The panels below the numbers of the overview."""

from __future__ import annotations

from dashboards.grafana.links import CELL, drill_down
from dashboards.grafana.panels import Panel, heat, tile, timeseries
from dashboards.grafana.queries import (
    buckets,
    level,
    ours,
    quantile,
    rate,
    ratio,
    renamed,
    rise,
    selector,
    share_within,
    together,
    top,
)
from dashboards.grafana.style import (
    BAD,
    BYTES,
    COUNT,
    PER_SECOND,
    QUANTILES,
    SECONDS,
    SHARE,
    TIME,
    WARN,
    about,
    bad_above,
    bad_below,
    steps,
)
from dashboards.grafana.tables import Column, Key, table
from dashboards.grafana.targets import cells, now, series

AGE = "rlb.message.age"
SENT = "messaging.client.sent.messages"
TO_FIRST = "gen_ai.server.time_to_first_token"
FAILED = {"error_type": '!=""'}
NO_DELIVERY = "Nothing was delivered to a group"

WRITE_BUDGET = 0.001
DELIVERY_BUDGET = 0.01


def attained() -> Panel:
    """Objectives over the time shown."""
    written = f"1 - {ratio(rise(SENT, '$__range', where=FAILED), rise(SENT, '$__range'))}"
    return tile(
        "Attained in the time shown",
        about(
            "The share of messages delivered in time, of first tokens that came in time, and of messages written.",
            bad="less than 99 % delivered in time or 99.9 % written.",
            then="*Error budget burn* says whether it goes on; *Who is behind?* for deliveries.",
        ),
        SHARE,
        now(share_within(AGE, "$delivery_slo", "$__range"), "Delivered within ${delivery_slo} s"),
        now(share_within(TO_FIRST, "$ttft_slo", "$__range"), "First token within ${ttft_slo} s"),
        now(written, "Written"),
        w=6,
        h=8,
        own={"A": bad_below(1 - DELIVERY_BUDGET), "C": bad_below(1 - WRITE_BUDGET)},
        decimals=2,
    )


def burn_rate() -> Panel:
    """How fast the budgets go."""

    def writes(window: str) -> str:
        return f"{ratio(rise(SENT, window, where=FAILED), rise(SENT, window))} / {WRITE_BUDGET}"

    def late(window: str) -> str:
        return f"(1 - {share_within(AGE, '$delivery_slo', window)}) / {DELIVERY_BUDGET}"

    return timeseries(
        "Error budget burn",
        about(
            "How many times too fast the error budgets of 30 days are spent: 1 just lasts, 14.4 spends 2 % in an hour. "
            "Budgets: 0.1 % of writes may fail, 1 % of deliveries may be late.",
            bad="both windows of one objective above a dashed line: 14.4 over 1 h, or 6 over 6 h.",
            then="Alerts: RLBWriteErrorBudgetBurn, RLBDeliveryLatencyBudgetBurn.",
        ),
        COUNT,
        series(writes("1h"), "writes, 1 h"),
        series(writes("6h"), "writes, 6 h"),
        series(late("1h"), "deliveries, 1 h"),
        series(late("6h"), "deliveries, 6 h"),
        w=9,
        thresholds=steps("transparent", (6, WARN), (14.4, BAD)),
    )


def delivery_quantiles() -> Panel:
    """The lag from end to end."""
    return timeseries(
        "Age at delivery",
        about(
            "How old messages are when apps that read in a group get them. Dots are traces of single generations.",
            bad="p99 far above p50: some streams wait. All of them high: readers or Redis are slow.",
            then="the heatmap beside; *Who is behind?*. Alert: RLBDeliveryLatencyBudgetBurn.",
        ),
        SECONDS,
        *(
            series(quantile(q, AGE), name, exemplars=q > 0.9)
            for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
        ),
        w=9,
        colours=QUANTILES,
        no_value=NO_DELIVERY,
    )


def delivery_ages() -> Panel:
    """The same with nothing summed up."""
    return heat(
        "Ages at delivery",
        about(
            "How many messages have which age when they are delivered. Two bands are two kinds of readers.",
            bad="a band that rises, or a second one far above the first.",
            then="narrow to a group at the top until the band is alone; then the dashboard *Consumer groups*.",
        ),
        SECONDS,
        cells(buckets(AGE)),
        no_value=NO_DELIVERY,
    )


def token_times() -> Panel:
    """What users feel."""
    return timeseries(
        "First token and token interval",
        about(
            "Time to the first token, and between successive messages of a generation.",
            bad="first token p95 above what you promise; interval p99 above 0.2 s.",
            then="the dashboard *LLM quality of service* says whether the model or the bridge is slow. Alerts: "
            "RLBHighTimeToFirstToken, RLBHighTokenInterval.",
        ),
        SECONDS,
        series(quantile(0.5, TO_FIRST), "first token p50"),
        series(quantile(0.95, TO_FIRST), "first token p95", exemplars=True),
        series(quantile(0.5, "rlb.token.interval"), "interval p50"),
        series(quantile(0.99, "rlb.token.interval"), "interval p99", exemplars=True),
        colours={
            "first token p50": "light-green",
            "first token p95": "green",
            "interval p50": "light-blue",
            "interval p99": "blue",
        },
        logarithmic=True,
        lowest=None,
        no_value="No traffic; first tokens want apps that send requestedAt",
    )


def refused() -> Panel:
    """What apps are not let in with."""
    return timeseries(
        "Refused messages by reason",
        about(
            "Messages refused before they were queued; the app is told at once.",
            bad="`queue_full`: writes do not keep up. `schema`, `invalid_json`, `too_large`: an app is wrong. "
            "`unauthorized`: a wrong token.",
            then="the app's log has the answer it got; *What is full or slow?* for `queue_full`. Alert: "
            "RLBIngestRejecting.",
        ),
        PER_SECOND,
        series(rate("rlb.ingest.rejected", "reason"), "{{reason}}"),
        w=8,
        no_value="No sidecar",
    )


def failing() -> Panel:
    """What Redis does not take."""
    return timeseries(
        "Failed writes, retries and polls",
        about(
            "Messages that could not be written, messages sent again, and commands of polls that failed, by kind of "
            "error.",
            bad="failed writes at all; retries for minutes.",
            then="`rlb health` in a pod; then Redis itself: memory (`OOM`), rights (`NOPERM`: `rlb acl`), "
            "failover (`READONLY`). Alerts: RLBWriteErrorBudgetBurn, RLBRedisDown.",
        ),
        PER_SECOND,
        series(top(rate(SENT, "error_type", FAILED)), "failed {{error_type}}"),
        series(top(rate("rlb.write.retries", "error_type")), "again {{error_type}}"),
        series(top(rate("rlb.poll.errors", "error_type")), "poll {{error_type}}"),
        w=8,
        no_value="No errors",
    )


def losing() -> Panel:
    """What somebody will miss."""
    return timeseries(
        "Lost, dropped and out of order",
        about(
            "Messages removed before a group got them (lost, or gone with their stream), messages that were taken and "
            "then could not be written (dropped), and sequence numbers that do not follow the one before.",
            bad="any of lost, gone or dropped. Gaps mean that an app lost messages before the bridge.",
            then="the dashboard *Streams and retention*; `rlb-top` shows losing groups first. Alerts: RLBMessagesLost, "
            "RLBSequenceAnomalies.",
        ),
        PER_SECOND,
        series(rate("rlb.group.lost"), "lost"),
        series(rate("rlb.group.gone"), "gone with a stream"),
        series(rate("rlb.write.dropped", "reason"), "dropped: {{reason}}"),
        series(rate("rlb.sequence.anomalies", "anomaly"), "sequence {{anomaly}}"),
        w=8,
        colours={"lost": BAD, "gone with a stream": WARN},
        no_value="Nothing lost",
    )


def by_model() -> Panel:
    """One row for each model."""
    of = "model"

    def of_request(expression: str) -> str:
        return together("max", renamed(expression, "gen_ai_request_model", of), of)

    failed = ratio(rate(SENT, "gen_ai_request_model", FAILED), rate(SENT, "gen_ai_request_model"))
    narrow = drill_down("rlb-overview", model=CELL)
    return table(
        "Models",
        about(
            "What each model does at this moment. Click a model to narrow this dashboard to it.",
            bad="a red cell; a model far slower than the others.",
            then="click the model, then follow the links at the top: they keep the choice.",
        ),
        (Key(of, "Model", narrow, "Only this model", width=260),),
        Column("Tokens/s", PER_SECOND, rate("rlb.ingest.tokens", of)),
        Column("Active", COUNT, level("rlb.generation.active", of)),
        Column("First token p95", SECONDS, of_request(quantile(0.95, TO_FIRST, "gen_ai_request_model"))),
        Column("Interval p99", SECONDS, quantile(0.99, "rlb.token.interval", of)),
        Column("Failed writes", SHARE, of_request(failed), bad_above(0.01, 0.001), decimals=2),
        Column("Oldest undelivered", SECONDS, level("rlb.group.lag.age", of)),
        Column("Undelivered", COUNT, level("rlb.group.lag", of)),
        Column("Lost, 24 h", COUNT, rise("rlb.group.lost", "24h", of), bad_above(0.5), decimals=0),
        no_value="No model in these sidecars",
        sort="Tokens/s",
    )


def alerts() -> Panel:
    """What fires."""
    firing = selector("ALERTS", {"alertname": '=~"RLB.+"', "alertstate": '="firing"'}, wide=True)
    since = selector("ALERTS_FOR_STATE", {"alertname": '=~"RLB.+"'}, wide=True)
    by = ("severity", "alertname", "namespace", "model", "group", "instance")
    return table(
        "Firing alerts",
        about(
            "Alerts of rlb that fire at this moment, as the Prometheus of this dashboard evaluates them.",
            bad="any with severity `critical`.",
            then="click its name for the runbook.",
        ),
        (
            Key("alertname", "Alert", "/d/rlb-runbooks?${datasource:queryparam}", "Runbooks", width=300),
            Key("severity", "Severity", width=100),
            *(Key(label, label.capitalize()) for label in by[2:]),
        ),
        Column("Since", TIME, together("max", f"1000 * ({since} and ignoring (alertstate) {firing})", by)),
        h=7,
        no_value="No alert fires, or the rules are evaluated elsewhere",
        sort="Since",
    )


def queue() -> Panel:
    """Between the socket and Redis."""
    fill = f"{level('rlb.ingest.queue.size', 'instance')} / {level('rlb.ingest.queue.size.limit', 'instance')}"
    return timeseries(
        "Queue, of its limit",
        about(
            "Memory of messages taken from apps and not yet answered, against the limit, the ten fullest sidecars.",
            bad="above 80 %: Redis does not take what apps send. At 100 % messages are refused.",
            then="*Sidecar internals*: how long commands take. Alert: RLBQueueSaturated.",
        ),
        SHARE,
        series(top(fill), "{{instance}}"),
        w=6,
        thresholds=steps("transparent", (0.8, BAD)),
        highest=1,
        no_value="No sidecar",
    )


def event_loop() -> Panel:
    """Whether the process itself is slow."""
    return timeseries(
        "Event loop delay p99",
        about(
            "How much later than asked the sidecar ran a timer, 99 of 100, the ten slowest.",
            bad="above 0.1 s: the process has too little CPU, and everything in it waits.",
            then="*CPU* beside; raise the container's CPU limit. Alert: RLBEventLoopLag.",
        ),
        SECONDS,
        series(top(quantile(0.99, "rlb.eventloop.lag", "instance")), "{{instance}}"),
        w=6,
        no_value="No sidecar",
    )


def cpu() -> Panel:
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
        w=6,
        no_value="No sidecar",
    )


def memory() -> Panel:
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
        w=6,
        no_value="No sidecar",
    )
