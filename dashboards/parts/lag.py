"""Panels on lag and loss, which several dashboards have."""

from __future__ import annotations

from dashboards.grafana.links import LINE_GROUP, LINE_MODEL, drill_down
from dashboards.grafana.panels import Panel, link, timeseries
from dashboards.grafana.queries import level, top
from dashboards.grafana.style import COUNT, SECONDS, about, steps
from dashboards.grafana.targets import series

NO_GROUP = "No group reads here, or its lag is not known"

OF_GROUP = ("model", "group")
GROUP_LEGEND = "{{group}} · {{model}}"
TO_GROUP = (link("This group on this model", drill_down("rlb-groups", model=LINE_MODEL, group=LINE_GROUP)),)
TO_STREAMS = (link("Streams of this model", drill_down("rlb-streams", model=LINE_MODEL)),)


def lag_age(w: int = 12) -> Panel:
    """The lag in time."""
    return timeseries(
        "Age of the oldest undelivered message",
        about(
            "How old the oldest message is that a group has not been handed yet: its lag in time; the ten worst.",
            bad="a line that climbs as fast as the clock: the group has stopped. One that stays high: it is too slow.",
            then="click a line to open the group; `rlb groups` and `rlb-top` name its worst streams. Alerts: "
            "RLBConsumerGroupLagging, RLBConsumerGroupStalled.",
        ),
        SECONDS,
        series(top(level("rlb.group.lag.age", OF_GROUP)), GROUP_LEGEND),
        w=w,
        no_value=NO_GROUP,
        links=TO_GROUP,
    )


def undelivered(w: int = 12) -> Panel:
    """The lag in messages."""
    return timeseries(
        "Undelivered messages",
        about(
            "Messages that a group has not been handed yet, where that is known, the ten worst groups.",
            bad="a line that only grows: the group reads less than is written.",
            then="click a line to open the group, and see there whether it will catch up. Alert: "
            "RLBConsumerGroupLagGrowing.",
        ),
        COUNT,
        series(top(level("rlb.group.lag", OF_GROUP)), GROUP_LEGEND),
        w=w,
        no_value=NO_GROUP,
        links=TO_GROUP,
    )


def headroom(w: int = 12) -> Panel:
    """How long until messages are lost."""
    return timeseries(
        "Time until undelivered messages are lost",
        about(
            "The safety margin: at the present rates, when the first undelivered message is trimmed or expires, on the "
            "worst stream of each group; the ten with the least.",
            bad="minutes, and falling. At 0 messages are lost.",
            then="bring back the readers of that group, or raise the stream's length or retention "
            "(`RLB_STREAM__MAX_LENGTH`, `RLB_STREAM__RETENTION_MS`) meanwhile. Alert: RLBRetentionAtRisk.",
        ),
        SECONDS,
        series(f"bottomk(10, {level('rlb.group.retention.headroom', OF_GROUP)})", GROUP_LEGEND),
        w=w,
        no_value="Nothing undelivered is about to go, or no limit applies",
        thresholds=steps("transparent", (60, "transparent")),
        links=TO_GROUP,
    )
