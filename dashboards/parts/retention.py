"""What is lost, and how long until more is."""

from __future__ import annotations

from dashboards.grafana.panels import Panel, timeseries
from dashboards.grafana.queries import level, rate, together, top
from dashboards.grafana.style import MESSAGES_PER_SECOND, NEUTRAL, SECONDS, about
from dashboards.grafana.targets import series
from dashboards.parts.lag import NO_GROUP, OF_GROUP, TO_ANY_MODEL

NO_STREAM = "No stream is watched"


def lost() -> Panel:
    return timeseries(
        "Lost before delivery",
        about(
            "Messages each second that were trimmed before a group was handed them (lost), or were undelivered when "
            "their stream expired or was deleted (gone).",
            bad="any.",
            then="bring back the readers, and keep more (`RLB_STREAM__MAX_LENGTH`, `RLB_STREAM__RETENTION_MS`). Alert: "
            "RLBMessagesLost.",
        ),
        MESSAGES_PER_SECOND,
        series(top(rate("rlb.group.lost", "group")), "lost · {{group}}"),
        series(top(rate("rlb.group.gone", "group")), "gone · {{group}}"),
        w=8,
        at_least=1,
        no_value=NO_GROUP,
        links=TO_ANY_MODEL,
    )


def expiry() -> Panel:
    return timeseries(
        "Soonest expiry of unread streams",
        about(
            "Time until the first stream with undelivered messages expires, by model.",
            bad="it reaches 0 while groups are behind: the stream goes with what nobody has read.",
            then="write to it, or raise `RLB_STREAM__RETENTION_MS`. Alert: RLBRetentionAtRisk.",
        ),
        SECONDS,
        series(f"bottomk(10, {level('rlb.stream.ttl.min', 'model')})", "{{model}}"),
        w=8,
        no_value="No stream with undelivered messages will expire",
    )


def kept_and_needed() -> Panel:
    return timeseries(
        "Kept, and still needed",
        about(
            "How old messages become before they are removed, on the model that keeps them the shortest; and how old "
            "the oldest message is that each group has not been handed.",
            bad="needed comes near kept where streams are trimmed or expire: what goes next was not read.",
            then="*Margin* is the difference; *Until messages are lost* is the measure that counts.",
        ),
        SECONDS,
        series(level("rlb.stream.retention.age", how="min"), "kept"),
        series(top(level("rlb.group.lag.age", "group")), "needed by {{group}}"),
        colours={"kept": NEUTRAL},
        dashed="A",
        no_value=NO_STREAM,
    )


def margin() -> Panel:
    kept, needed = level("rlb.stream.retention.age", "model"), level("rlb.group.lag.age", OF_GROUP)
    left = f"{kept} - on (model) group_right () {needed}"
    return timeseries(
        "Margin: kept less needed",
        about(
            "By how much the oldest message kept is older than the oldest one undelivered, for each group; the ten "
            "with the least. Also near 0 for a group that is new, or on a stream younger than its limits.",
            bad="near 0 for a group that has read before: the edge of what is kept is where it reads.",
            then="look at *Until messages are lost* for the same group.",
        ),
        SECONDS,
        series(f"bottomk(10, {together('min', left, 'group')})", "{{group}}"),
        lowest=None,
        no_value=NO_GROUP,
        links=TO_ANY_MODEL,
    )
