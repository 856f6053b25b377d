"""Whether tokens arrive in time, against objectives."""

from __future__ import annotations

from dashboards.grafana.limits import limit
from dashboards.grafana.panels import Panel, heat, tile, timeseries
from dashboards.grafana.queries import buckets, quantile, ratio, rise, share_within
from dashboards.grafana.style import BAD, COUNT, QUANTILES, SECONDS, SHARE, WARN, about, bad_below, steps
from dashboards.grafana.targets import cells, now, series

AGE = "rlb.message.age"
SENT = "messaging.client.sent.messages"
TO_FIRST = "gen_ai.server.time_to_first_token"
FAILED = {"error_type": '!=""'}
NO_DELIVERY = "Nothing was delivered to a group"

WRITE_BUDGET = limit("write_error_budget")
DELIVERY_BUDGET = limit("delivery_slow_budget")
FIRST_TOKEN_BUDGET = 0.05
"""As the alert looks at the 95th percentile."""


def attained() -> Panel:
    """Objectives over the time shown."""
    written = f"1 - {ratio(rise(SENT, '$__range', where=FAILED), rise(SENT, '$__range'))}"
    budgets = (DELIVERY_BUDGET, FIRST_TOKEN_BUDGET, WRITE_BUDGET)
    return tile(
        "Attained in the time shown",
        about(
            "The share of messages delivered in time, of first tokens that came in time, and of messages written.",
            bad="less than 99 % delivered in time, 95 % of first tokens in time, or 99.9 % written.",
            then="*Error budget burn* says whether it goes on; *Who is behind?* for deliveries.",
        ),
        SHARE,
        now(share_within(AGE, "$delivery_slo", "$__range"), "Delivered within ${delivery_slo} s"),
        now(share_within(TO_FIRST, "$ttft_slo", "$__range"), "First token within ${ttft_slo} s"),
        now(written, "Written"),
        w=6,
        h=8,
        own={letter: bad_below(1 - budget) for letter, budget in zip("ABC", budgets, strict=True)},
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
