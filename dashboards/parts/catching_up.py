"""Whether groups that are behind will catch up, and how they do on their streams."""

from __future__ import annotations

from dashboards.grafana.limits import limit
from dashboards.grafana.links import CELL, cell, drill_down
from dashboards.grafana.panels import Panel, timeseries
from dashboards.grafana.queries import level, rate, rise, together, top
from dashboards.grafana.style import (
    COUNT,
    MESSAGES_PER_SECOND,
    NEUTRAL,
    QUALITY,
    SECONDS,
    STATUS,
    WARN,
    about,
    bad_above,
    bad_below,
    steps,
)
from dashboards.grafana.tables import Column, Key, table
from dashboards.grafana.targets import series
from dashboards.parts.lag import HOUR_S, NO_GROUP, OF_GROUP, until_lost

ILL = {"status": '=~"lagging|stalled|stopped|rewound|losing|unknown"'}

WINDOW_S = 120
"""Readers that take messages in bouts are judged over this time."""

ADDED = rise("rlb.stream.entries_added", f"{WINDOW_S}s", "model")
READ = rise("rlb.group.entries_read", f"{WINDOW_S}s", OF_GROUP)
SURPLUS = f"{together('sum', f'{READ} - on (model) group_left () {ADDED}', 'group')} / {WINDOW_S}"


def rates() -> Panel:
    return timeseries(
        "Written and read",
        about(
            "Messages written to all streams, by whomever, and read from them by each group.",
            bad="a group's line stays below *written*; a group that reads some models only is always below it.",
            then="*Surplus* says by how much; start more readers of that group.",
        ),
        MESSAGES_PER_SECOND,
        series(rate("rlb.stream.entries_added"), "written"),
        series(top(rate("rlb.group.entries_read", "group")), "{{group}}"),
        w=8,
        colours={"written": NEUTRAL},
        dashed="A",
        no_value=NO_GROUP,
    )


def surplus() -> Panel:
    return timeseries(
        "Surplus: read more than written",
        about(
            "Messages read less messages written to the models that the group reads, each second, over the last "
            "2 min. Above 0 it catches up, below it falls back.",
            bad="below 0 for minutes, for a group that is behind.",
            then="start more readers of that group, or make each faster. Alert: RLBConsumerGroupLagGrowing.",
        ),
        MESSAGES_PER_SECOND,
        series(f"bottomk(10, {SURPLUS})", "{{group}}"),
        w=8,
        lowest=None,
        no_value=NO_GROUP,
    )


def time_to_catch_up() -> Panel:
    return timeseries(
        "Time to catch up, up to 1 h",
        about(
            "How long a group needs, at the rates of the last 2 min, until it has read everything; the ten slowest. A "
            "group that does not read more than is written has no line: it never will. More than an hour is drawn as "
            "an hour.",
            bad="longer than *Until messages are lost*, or no line for a group that is behind.",
            then="compare with *Surplus*; start more readers of that group.",
        ),
        SECONDS,
        series(top(f"clamp_max({level('rlb.group.lag', 'group')} / ({SURPLUS} > 0), {HOUR_S})"), "{{group}}"),
        w=8,
        no_value="No group is catching up: none is behind, or none reads more than is written",
    )


def by_group() -> Panel:
    """One row for each group on each model."""
    by = ("namespace", *OF_GROUP)
    ill = level("rlb.group.streams", by, ILL)
    soon = bad_below(60, limit("retention_headroom_seconds"))
    return table(
        "Groups",
        about(
            "How each group does on each model at this moment: the age of its oldest undelivered message, how many are "
            "undelivered, how many of these on one stream, and so on. Click a group to narrow this dashboard to it.",
            bad="a red cell: messages lost, no reader, or too little time left.",
            then="`rlb groups` lists its worst streams, `rlb pending` what it was handed; `rlb-top` shows both live.",
        ),
        (
            Key("group", "Group", drill_down("rlb-groups", group=CELL, model=cell("Model")), hint="Only this one"),
            Key("model", "Model", drill_down("rlb-streams", model=CELL), hint="Streams of this model", width=240),
            Key("namespace", "Namespace"),
        ),
        Column("Age", SECONDS, level("rlb.group.lag.age", by)),
        Column("Undelivered", COUNT, level("rlb.group.lag", by)),
        Column("Worst stream", COUNT, level("rlb.group.lag.max", by)),
        Column("Until lost", SECONDS, until_lost(by), soon),
        Column("Lost 24 h", COUNT, rise("rlb.group.lost", "24h", by), bad_above(0.5), decimals=0),
        Column("Gone 24 h", COUNT, rise("rlb.group.gone", "24h", by), steps(NEUTRAL, (0.5, WARN)), decimals=0),
        Column("Pending", COUNT, level("rlb.group.pending", by)),
        Column("Pending age", SECONDS, level("rlb.group.pending.age", by)),
        Column("Readers", COUNT, level("rlb.group.consumers", by, {"state": '="active"'}), bad_below(1)),
        Column("Not ok", COUNT, f"{ill} or 0 * {level('rlb.group.streams', by)}"),
        h=10,
        no_value=NO_GROUP,
        sort="Age",
    )


def status() -> Panel:
    return timeseries(
        "Streams by status",
        about(
            "On how many streams the groups have which status. *lagging*: behind, and not catching up. *stalled*: "
            "readers call, and it does not move. *stopped*: messages wait and no reader calls. *rewound*: set back, by "
            "hand or a fail-over. *losing*: messages are lost unread, or will be within a minute. *unknown*: cannot be "
            "told.",
            bad="anything but *ok*; *losing* first.",
            then="`rlb streams --status losing` (or another) lists them. Alerts: RLBConsumerGroupStalled, "
            "RLBMessagesLost.",
        ),
        COUNT,
        series(level("rlb.group.streams", "status"), "{{status}}"),
        stacked=True,
        colours=STATUS,
        no_value=NO_GROUP,
    )


def quality() -> Panel:
    return timeseries(
        "Streams by how well their lag is known",
        about(
            "*exact*: counted by rlb. *server*: as Redis says. *bounded*: at least as much as is shown. *unknown*: "
            "deleted entries or an old Redis make it impossible to tell; such streams are in no sum of lag.",
            bad="*unknown* where there was none: lag is more than what is shown.",
            then="`rlb info` on such a stream (`rlb streams --status unknown`). Alert: RLBLagUnknown.",
        ),
        COUNT,
        series(level("rlb.group.lag.streams", "quality"), "{{quality}}"),
        stacked=True,
        colours=QUALITY,
        no_value=NO_GROUP,
    )
