"""Panels on lag and loss, which several dashboards have."""

from __future__ import annotations

from dashboards.grafana.limits import in_words, limit
from dashboards.grafana.links import LINE_GROUP, LINE_MODEL, drill_down
from dashboards.grafana.panels import Panel, link, timeseries
from dashboards.grafana.queries import By, level, together, top
from dashboards.grafana.style import BAD, COUNT, SECONDS, about, steps
from dashboards.grafana.targets import series

NO_GROUP = "No group reads here, or its lag is not known"

OF_GROUP = ("model", "group")
GROUP_LEGEND = "{{group}} · {{model}}"
TO_GROUP = (link("This group on this model", drill_down("rlb-groups", model=LINE_MODEL, group=LINE_GROUP)),)
TO_ANY_MODEL = (link("This group", drill_down("rlb-groups", group=LINE_GROUP)),)

HOUR_S = 3600
WHOLE = 24
"""The width of the grid: room for a line for each group on each model."""


def by_room(w: int) -> tuple[By, str]:
    """By group where there is little room, and there by model too."""
    return (OF_GROUP, GROUP_LEGEND) if w >= WHOLE else ("group", "{{group}}")


def lag_age(w: int = WHOLE) -> Panel:
    by, legend = by_room(w)
    return timeseries(
        "Age of the oldest undelivered message",
        about(
            "How old the oldest message is that a group has not been handed yet: its lag in time; the ten worst.",
            bad="a line that climbs as fast as the clock: the group has stopped. One that stays high: it is too slow.",
            then="click a line to open the group; `rlb groups` and `rlb-top` name its worst streams. Alerts: "
            "RLBConsumerGroupLagging, RLBConsumerGroupStalled.",
        ),
        SECONDS,
        series(top(level("rlb.group.lag.age", by)), legend),
        w=w,
        no_value=NO_GROUP,
        links=TO_GROUP if w >= WHOLE else TO_ANY_MODEL,
    )


def undelivered(w: int = WHOLE) -> Panel:
    by, legend = by_room(w)
    return timeseries(
        "Undelivered messages",
        about(
            "Messages that a group has not been handed yet, where that is known; the ten groups with the most.",
            bad="a line that only grows: the group reads less than is written.",
            then="click a line to open the group, and see there whether it will catch up. Alert: "
            "RLBConsumerGroupLagGrowing.",
        ),
        COUNT,
        series(top(level("rlb.group.lag", by)), legend),
        w=w,
        no_value=NO_GROUP,
        links=TO_GROUP if w >= WHOLE else TO_ANY_MODEL,
    )


def until_lost(by: By = ()) -> str:
    """The headroom of groups that are behind. One that keeps up has some too: that of what is under way this moment."""
    each = ("namespace", *OF_GROUP)
    behind = f"{level('rlb.group.lag.age', each)} > {limit('lag_age_seconds'):g}"
    return together("min", f"{level('rlb.group.retention.headroom', each)} and on ({', '.join(each)}) {behind}", by)


def headroom(w: int = WHOLE) -> Panel:
    by, legend = by_room(w)
    return timeseries(
        "Until messages are lost, up to 1 h",
        about(
            "The safety margin of groups that are behind: at the present rates, when the first undelivered message is "
            "trimmed or expires, on the worst stream of each; the ten with the least. More than an hour is drawn as an "
            "hour.",
            bad=f"below {in_words('retention_headroom_seconds')}, and falling. At 0 messages are lost.",
            then="bring back the readers of that group, or raise the streams' length or retention "
            "(`RLB_STREAM__MAX_LENGTH`, `RLB_STREAM__RETENTION_MS`) meanwhile. Alert: RLBRetentionAtRisk.",
        ),
        SECONDS,
        series(f"bottomk(10, clamp_max({until_lost(by)}, {HOUR_S}))", legend),
        w=w,
        highest=HOUR_S,
        no_value="No group is behind, or no limit applies",
        thresholds=steps("transparent", (limit("retention_headroom_seconds"), BAD)),
        links=TO_GROUP if w >= WHOLE else TO_ANY_MODEL,
    )
