"""The numbers at the top of the overview; other dashboards have some of them too."""

from __future__ import annotations

from dashboards.grafana.limits import in_words, limit
from dashboards.grafana.links import drill_down
from dashboards.grafana.panels import Panel, link, tile
from dashboards.grafana.queries import level, ours, quantile, rate, ratio, rise, selector, together
from dashboards.grafana.style import (
    COUNT,
    GOOD,
    NEUTRAL,
    SECONDS,
    SHARE,
    TOKENS_PER_SECOND,
    WARN,
    about,
    bad_above,
    bad_below,
    steps,
)
from dashboards.grafana.targets import now
from dashboards.parts.lag import NO_GROUP, until_lost

TO_SIDECARS = (link("Sidecars", drill_down("rlb-sidecar")),)
TO_GROUPS = (link("Consumer groups", drill_down("rlb-groups")),)
TO_STREAMS = (link("Streams", drill_down("rlb-streams")),)
TO_QUALITY = (link("Quality of service", drill_down("rlb-quality")),)
NO_GENERATION = "No generation"


def sidecars() -> Panel:
    """How many are up."""
    return tile(
        "Sidecars up",
        about(
            "Sidecars and observers that Prometheus reaches, of those seen in the last hour.",
            bad="fewer than there are pods.",
            then="the dashboard *Sidecar internals* lists them. Alert: RLBTargetsMissing.",
        ),
        COUNT,
        now(together("sum", ours(selector("up")))),
        no_value="None in the last hour: is rlb scraped?",
        links=TO_SIDECARS,
    )


def unreachable() -> Panel:
    """How many are down, or cannot reach Redis."""
    up, redis = ours(selector("up")), selector("rlb.redis.up")
    down = together("count", ours(f"{selector('up')} == 0"))
    return tile(
        "Down or without Redis",
        about(
            "Sidecars of the last hour that Prometheus does not reach, and sidecars that do not reach Redis.",
            bad="any: apps of that pod cannot send, or what they send is refused.",
            then="`rlb health` in the pod says why; then its log. Alerts: RLBDown, RLBRedisDown.",
        ),
        COUNT,
        now(f"{down} or 0 * {together('count', up)}", "down"),
        now(f"count({redis} == 0) or 0 * count({redis})", "no Redis"),
        no_value="None in the last hour",
        thresholds=bad_above(1),
        links=TO_SIDECARS,
    )


def tokens() -> Panel:
    """Traffic."""
    return tile(
        "Tokens per second",
        about(
            "Tokens that apps send through the bridge.",
            bad="a sudden 0, or far from what is usual at this hour.",
            then="the row *Is traffic flowing?*.",
        ),
        TOKENS_PER_SECOND,
        now(rate("rlb.ingest.tokens")),
        no_value="No app sends",
    )


def active() -> Panel:
    """Generations under way."""
    return tile(
        "Active generations",
        about(
            "Generations begun and not completed, at this moment.",
            bad="it grows while tokens per second do not: generations stall.",
            then="the dashboard *LLM quality of service*, panel *Active and stalled generations*.",
        ),
        COUNT,
        now(level("rlb.generation.active")),
        no_value=NO_GENERATION,
        links=TO_QUALITY,
    )


def write_errors() -> Panel:
    """The share of writes that fail."""
    sent = "messaging.client.sent.messages"
    return tile(
        "Writes that fail",
        about(
            "The share of messages that could not be written to Redis. The objective is that 99.9 % are.",
            bad="above 0.1 % for long.",
            then="the row *Is anything refused, failing or lost?* has the kinds of errors. Alert: "
            "RLBWriteErrorBudgetBurn.",
        ),
        SHARE,
        now(ratio(rate(sent, where={"error_type": '!=""'}), rate(sent))),
        no_value="No writes",
        thresholds=bad_above(limit("write_error_budget")),
        decimals=2,
    )


def lost() -> Panel:
    """What groups will never see."""
    return tile(
        "Lost, last 24 h",
        about(
            "*lost*: trimmed before a group was handed them. *gone*: undelivered when their stream expired or was "
            "deleted. *dropped*: taken from an app and not written, of which it was told.",
            bad="any that is lost or dropped; gone, if somebody meant to read it.",
            then="the dashboard *Streams and retention* shows where and when. Alert: RLBMessagesLost.",
        ),
        COUNT,
        now(rise("rlb.group.lost", "24h"), "lost"),
        now(rise("rlb.group.gone", "24h"), "gone"),
        now(rise("rlb.write.dropped", "24h"), "dropped"),
        no_value=NO_GROUP,
        thresholds=bad_above(0.5),
        own={"B": steps(GOOD, (0.5, WARN))},
        decimals=0,
        links=TO_STREAMS,
    )


def lag_age() -> Panel:
    """The worst lag."""
    return tile(
        "Oldest undelivered",
        about(
            "The age of the oldest message that some group has not been handed yet.",
            bad=f"more than your apps can wait; {in_words('lag_age_seconds')} for minutes fires an alert.",
            then="the row *Who is behind?*. Alert: RLBConsumerGroupLagging.",
        ),
        SECONDS,
        now(level("rlb.group.lag.age")),
        no_value=NO_GROUP,
        thresholds=steps(NEUTRAL, (limit("lag_age_seconds"), WARN)),
        links=TO_GROUPS,
    )


def headroom() -> Panel:
    """The time until something is lost."""
    return tile(
        "Until messages are lost",
        about(
            "Of groups that are behind: at the present rates, the time until the first undelivered message is trimmed "
            "or expires, on the worst stream of all.",
            bad="a few minutes, and falling.",
            then="the dashboard *Streams and retention*. Alert: RLBRetentionAtRisk.",
        ),
        SECONDS,
        now(until_lost()),
        no_value="No group is behind",
        thresholds=bad_below(60, limit("retention_headroom_seconds")),
        links=TO_STREAMS,
    )


def delivery() -> Panel:
    """The lag from end to end."""
    return tile(
        "Delivery age p95",
        about(
            "How old messages are when apps that read in a group get them, 95 of 100.",
            bad="above what you promise: see *Delivered within* at the top.",
            then="the row *Are objectives met?*. Alert: RLBDeliveryLatencyBudgetBurn.",
        ),
        SECONDS,
        now(quantile(0.95, "rlb.message.age")),
        no_value="No deliveries",
        thresholds=steps(NEUTRAL, (limit("delivery_seconds"), WARN)),
    )


def first_token() -> Panel:
    """How long users look at nothing."""
    return tile(
        "First token p95",
        about(
            "Time from the request to the first token, 95 of 100.",
            bad="above what you promise: see *First token within* at the top.",
            then="the dashboard *LLM quality of service*. Alert: RLBHighTimeToFirstToken.",
        ),
        SECONDS,
        now(quantile(0.95, "gen_ai.server.time_to_first_token")),
        no_value="No traffic, or apps do not send requestedAt",
        thresholds=steps(NEUTRAL, (limit("time_to_first_token_seconds"), WARN)),
        links=TO_QUALITY,
    )


def interval() -> Panel:
    """How smooth the stream of tokens is."""
    return tile(
        "Token interval p99",
        about(
            "Time between successive messages of a generation as they reach the sidecar, 99 of 100.",
            bad=f"above 0.2 s readers see it stutter; {in_words('token_interval_seconds')} for minutes fires an alert.",
            then="the dashboard *LLM quality of service*. Alert: RLBHighTokenInterval.",
        ),
        SECONDS,
        now(quantile(0.99, "rlb.token.interval")),
        no_value="No traffic",
        thresholds=steps(NEUTRAL, (limit("token_interval_seconds"), WARN)),
        links=TO_QUALITY,
    )


def queue() -> Panel:
    """How full the fullest queue is."""
    fill = f"{level('rlb.ingest.queue.size', 'instance')} / {level('rlb.ingest.queue.size.limit', 'instance')}"
    return tile(
        "Fullest queue",
        about(
            "Memory of messages taken from apps and not yet answered, against the limit, in the fullest sidecar.",
            bad=f"above {in_words('queue_ratio')}. At 100 % messages are refused as overloaded.",
            then="the row *What is full or slow?*; `rlb health` in the pod. Alert: RLBQueueSaturated.",
        ),
        SHARE,
        now(together("max", fill)),
        no_value="No sidecar",
        thresholds=bad_above(limit("queue_ratio")),
        decimals=1,
        links=TO_SIDECARS,
    )
