"""Tables of everything at a glance."""

from __future__ import annotations

from dashboards.alerts import ALERT_NAMES
from dashboards.grafana.limits import limit
from dashboards.grafana.links import CELL, drill_down
from dashboards.grafana.panels import Panel
from dashboards.grafana.queries import level, quantile, rate, ratio, renamed, rise, selector, together
from dashboards.grafana.style import (
    BAD,
    COUNT,
    NEUTRAL,
    SECONDS,
    SHARE,
    TIME,
    TOKENS_PER_SECOND,
    WARN,
    about,
    bad_above,
    steps,
)
from dashboards.grafana.tables import Column, Key, table

SENT = "messaging.client.sent.messages"
TO_FIRST = "gen_ai.server.time_to_first_token"
FAILED = {"error_type": '!=""'}


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
            "What each model does at this moment; *Lag* is the age of its oldest undelivered message. Click a model to "
            "narrow this dashboard to it. Models beyond the cap of histograms have their times under `other`. "
            "*Lost* and *gone* are as in the number above.",
            bad="a red cell; a model far slower than the others.",
            then="click the model, then follow the links at the top: they keep the choice.",
        ),
        (Key(of, "Model", narrow, "Only this model", width=260),),
        Column("Tokens", TOKENS_PER_SECOND, rate("rlb.ingest.tokens", of)),
        Column("Active", COUNT, level("rlb.generation.active", of)),
        Column("First token p95", SECONDS, of_request(quantile(0.95, TO_FIRST, "gen_ai_request_model"))),
        Column("Interval p99", SECONDS, quantile(0.99, "rlb.token.interval", of)),
        Column("Failed writes", SHARE, of_request(failed), bad_above(limit("write_error_budget")), decimals=2),
        Column("Lag", SECONDS, level("rlb.group.lag.age", of)),
        Column("Undelivered", COUNT, level("rlb.group.lag", of)),
        Column("Lost 24 h", COUNT, rise("rlb.group.lost", "24h", of), bad_above(0.5), decimals=0),
        Column("Gone 24 h", COUNT, rise("rlb.group.gone", "24h", of), steps(NEUTRAL, (0.5, WARN)), decimals=0),
        no_value="No model in these sidecars",
        h=6,
        sort="Tokens",
    )


def _with_page(expression: str) -> str:
    """Alerts with the number of their panel on the dashboard of runbooks, as a link cannot look it up by name."""
    for number, name in enumerate(ALERT_NAMES, start=1):
        expression = f'label_replace({expression}, "page", "{number}", "alertname", "{name}")'
    return expression


def alerts() -> Panel:
    """What fires."""
    firing = selector("ALERTS", {"alertname": '=~"RLB.+"', "alertstate": '="firing"'}, wide=True)
    since = selector("ALERTS_FOR_STATE", {"alertname": '=~"RLB.+"'}, wide=True)
    by = ("severity", "alertname", "page", "namespace", "model", "group", "instance")
    found = f"1000 * ({since} and ignoring (alertstate) {firing})"
    page = "/d/rlb-runbooks?viewPanel=${__value.text}&${datasource:queryparam}"
    return table(
        "Firing alerts",
        about(
            "Alerts of rlb that fire at this moment, as the Prometheus of this dashboard evaluates them.",
            bad="any with severity `critical`.",
            then="click the number of its runbook.",
        ),
        (
            Key("alertname", "Alert", width=270),
            Key("page", "Runbook", page, "Open", width=90),
            Key("severity", "Severity", width=100, colours={"critical": BAD, "warning": WARN}),
            Key("group", "Group", width=150),
            Key("model", "Model", width=300),
            Key("namespace", "Namespace", width=140),
            Key("instance", "Instance"),
        ),
        Column("Since", TIME, together("max", _with_page(found), by)),
        h=8,
        no_value="No alert fires, or the rules are evaluated elsewhere",
        sort="Severity",
        ascending=True,
    )
