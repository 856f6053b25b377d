"""Panels on what flows through the bridge, which several dashboards have."""

from __future__ import annotations

from dashboards.grafana.panels import Panel, timeseries
from dashboards.grafana.queries import rate, top
from dashboards.grafana.style import (
    FINISH,
    GENERATIONS_PER_SECOND,
    GOOD,
    MESSAGES_PER_SECOND,
    NEUTRAL,
    TOKENS_PER_SECOND,
    about,
)
from dashboards.grafana.targets import series


def in_and_out(w: int = 8) -> Panel:
    """Tokens in, messages written, messages delivered."""
    written = rate("messaging.client.sent.messages", where={"error_type": '=""'})
    delivered = rate("messaging.client.consumed.messages", "messaging_consumer_group_name")
    return timeseries(
        "Accepted, written, delivered",
        about(
            "Tokens that apps send, messages written to Redis, and messages handed to apps that read, for each group.",
            bad="written stays below accepted (writes fail or queue up), or a group's line stays below written "
            "(it falls behind). Readers that use Redis without the bridge are not in here.",
            then="the rows below: *What is full or slow?* for writes, *Who is behind?* for groups.",
        ),
        MESSAGES_PER_SECOND,
        series(rate("rlb.ingest.tokens"), "accepted"),
        series(written, "written"),
        series(top(delivered), "delivered to {{messaging_consumer_group_name}}"),
        w=w,
        colours={"accepted": NEUTRAL, "written": GOOD},
        dashed="A",
        no_value="No app sends through these sidecars",
    )


def by_model(w: int = 8) -> Panel:
    """Which models the tokens are of."""
    return timeseries(
        "Tokens by model",
        about(
            "Tokens accepted each second, of the ten largest models. `other` is what came after the cap of models.",
            bad="a model that should run has no line, or one fills all of it.",
            then="click a model in the table *Models* to narrow all panels to it; if `other` is large, raise "
            "`RLB_LIMITS__MODELS`.",
        ),
        TOKENS_PER_SECOND,
        series(top(rate("rlb.ingest.tokens", "model")), "{{model}}"),
        w=w,
        stacked=True,
        no_value="No app sends through these sidecars",
    )


def finished(w: int = 8) -> Panel:
    """How generations end."""
    return timeseries(
        "Generations by how they end",
        about(
            "Generations that end each second, by the reason that the app gives. `abandoned`: the app went away or "
            "fell silent before the end.",
            bad="`error` or `abandoned` grow beside `stop`; `length` grows where answers should not be cut.",
            then="the dashboard *LLM quality of service*; the log of the app, by the trace of the generation.",
        ),
        GENERATIONS_PER_SECOND,
        series(rate("rlb.generation.completed", "finish_reason"), "{{finish_reason}}"),
        w=w,
        stacked=True,
        colours=FINISH,
        no_value="No generation ends in this time",
    )
