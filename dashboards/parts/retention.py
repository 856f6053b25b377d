"""What is lost, and how long until more is."""

from __future__ import annotations

from dashboards.grafana.panels import Panel, timeseries
from dashboards.grafana.queries import level, rate, top
from dashboards.grafana.style import MESSAGES_PER_SECOND, SECONDS, about
from dashboards.grafana.targets import series
from dashboards.parts.lag import GROUP_LEGEND, NO_GROUP, OF_GROUP, TO_GROUP

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
        series(top(rate("rlb.group.lost", OF_GROUP)), f"lost · {GROUP_LEGEND}"),
        series(top(rate("rlb.group.gone", OF_GROUP), 5), f"gone · {GROUP_LEGEND}"),
        w=8,
        no_value=NO_GROUP,
        links=TO_GROUP,
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
            "Age of the oldest message kept, and age of the oldest message that the slowest group has not been handed, "
            "by model.",
            bad="needed comes near kept where streams are trimmed: what is trimmed next was not read.",
            then="*Margin* is the difference; *Until messages are lost* is the measure that counts.",
        ),
        SECONDS,
        series(top(level("rlb.stream.retention.age", "model"), 5), "kept · {{model}}"),
        series(top(level("rlb.group.lag.age", "model"), 5), "needed · {{model}}"),
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
        series(f"bottomk(10, {left})", GROUP_LEGEND),
        lowest=None,
        no_value=NO_GROUP,
        links=TO_GROUP,
    )
