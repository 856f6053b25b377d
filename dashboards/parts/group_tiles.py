"""The numbers at the top of the dashboard of consumer groups."""

from __future__ import annotations

from dashboards.grafana.limits import in_words, limit
from dashboards.grafana.panels import Panel, tile
from dashboards.grafana.queries import level
from dashboards.grafana.style import BAD, COUNT, NEUTRAL, SECONDS, WARN, about, steps
from dashboards.grafana.targets import now
from dashboards.parts.lag import NO_GROUP


def undelivered() -> Panel:
    """The lag in messages."""
    return tile(
        "Undelivered",
        about(
            "Messages that groups have not been handed yet, all groups together, where that is known.",
            bad="it only grows.",
            then="*Will they catch up?* below. Alert: RLBConsumerGroupLagGrowing.",
        ),
        COUNT,
        now(level("rlb.group.lag")),
        no_value=NO_GROUP,
    )


def not_ok() -> Panel:
    """How many streams are ill."""
    ill = level("rlb.group.streams", where={"status": '=~"lagging|stalled|stopped|rewound|losing|unknown"'})
    return tile(
        "Streams not ok",
        about(
            "Pairs of a stream and a group with a status other than *ok*.",
            bad="any that stays.",
            then="*Streams by status* below says which; `rlb streams --status stalled` lists them.",
        ),
        COUNT,
        now(f"{ill} or 0 * {level('rlb.group.streams')}"),
        no_value=NO_GROUP,
    )


def pending_idle() -> Panel:
    """Whether somebody hangs."""
    stuck = limit("pending_idle_seconds")
    return tile(
        "Pending for longest",
        about(
            "The longest time since a pending message was last delivered.",
            bad=f"above {in_words('pending_idle_seconds')}: its reader is gone, and nobody claims it.",
            then="*Do they finish what they are handed?* below; `rlb pending`. Alert: RLBPendingStuck.",
        ),
        SECONDS,
        now(level("rlb.group.pending.idle")),
        no_value="Nothing is pending",
        thresholds=steps(NEUTRAL, (stuck, BAD)),
    )


def lag_unknown() -> Panel:
    """What the other numbers do not show."""
    unknown = level("rlb.group.lag.streams", where={"quality": '="unknown"'})
    return tile(
        "Streams of unknown lag",
        about(
            "Streams on which nobody can tell how far a group is behind; they are in no sum of lag.",
            bad="any, if there was none before.",
            then="`rlb info` on such a stream says why. Alert: RLBLagUnknown.",
        ),
        COUNT,
        now(f"{unknown} or 0 * {level('rlb.group.lag.streams')}"),
        no_value=NO_GROUP,
        thresholds=steps(NEUTRAL, (limit("unknown_lag_streams") + 0.5, WARN)),
    )
