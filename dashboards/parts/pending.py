"""What groups were handed and have not acknowledged, and who reads."""

from __future__ import annotations

from dashboards.grafana.limits import in_words
from dashboards.grafana.panels import Panel, heat, timeseries
from dashboards.grafana.queries import buckets, level, quantile, rate, rise, top
from dashboards.grafana.style import BAD, COUNT, GOOD, MESSAGES_PER_SECOND, SECONDS, UNKNOWN, WARN, about
from dashboards.grafana.tables import Column, Key, table
from dashboards.grafana.targets import cells, series
from dashboards.parts.lag import NO_GROUP, by_room

NO_ACK = "Nothing was acknowledged through the bridge"
ONLY_IF_ASKED = "Set RLB_MONITOR__TOP_STREAMS to see the few worst by name"


def pending(w: int = 8) -> Panel:
    by, legend = by_room(w)
    return timeseries(
        "Pending messages",
        about(
            "Messages delivered and not acknowledged, the ten groups with the most.",
            bad="it only grows: readers take messages and do not finish them, or do not acknowledge.",
            then="`rlb pending` shows them by reader. Alert: RLBPendingStuck.",
        ),
        COUNT,
        series(top(level("rlb.group.pending", by)), legend),
        w=w,
        no_value=NO_GROUP,
    )


def pending_age(w: int = 8) -> Panel:
    by, legend = by_room(w)
    return timeseries(
        "Pending for longest",
        about(
            "The longest time since a pending message was last delivered, the ten longest.",
            bad=f"above {in_words('pending_idle_seconds')}: its reader is gone, and nobody claims it.",
            then="`rlb pending claim` hands it to another reader; `rlb dlq add` sets it aside. Alert: RLBPendingStuck.",
        ),
        SECONDS,
        series(top(level("rlb.group.pending.idle", by)), legend),
        w=w,
        no_value="Nothing is pending",
    )


def poison(w: int = 8) -> Panel:
    by, legend = by_room(w)
    return timeseries(
        "Messages that nobody can handle",
        about(
            "Pending messages that were delivered as often as is allowed, among those looked at.",
            bad="any: a reader fails on them each time.",
            then="`rlb pending` to see them, `rlb dlq add` to set them aside so that the group goes on. Alert: "
            "RLBPoisonMessages.",
        ),
        COUNT,
        series(top(level("rlb.group.poison", by)), legend),
        w=w,
        no_value=NO_GROUP,
    )


def acknowledged() -> Panel:
    return timeseries(
        "Delivered, acknowledged, delivered again",
        about(
            "What readers of the bridge get and settle each second, all groups together, and what they get a second "
            "time.",
            bad="acknowledged stays below delivered; delivered again is more than a trace.",
            then="look for readers that crash or time out; *Pending messages*.",
        ),
        MESSAGES_PER_SECOND,
        series(rate("messaging.client.consumed.messages"), "delivered"),
        series(rate("rlb.message.acked"), "acknowledged"),
        series(rate("rlb.message.redelivered"), "delivered again"),
        w=6,
        colours={"delivered": "blue", "acknowledged": GOOD, "delivered again": WARN},
        no_value="No app reads through these sidecars",
    )


def ack_quantile() -> Panel:
    return timeseries(
        "Time to acknowledge p95",
        about(
            "Time from a delivery to its acknowledgement, 95 of 100, by group; 300 s at most.",
            bad="it rises while what is written does not: the readers' work got slower.",
            then="the readers' own traces; dots here are traces of single generations.",
        ),
        SECONDS,
        series(top(quantile(0.95, "rlb.message.ack.duration", "group")), "{{group}}", exemplars=True),
        w=6,
        no_value=NO_ACK,
    )


def ack_times() -> Panel:
    return heat(
        "Times to acknowledge",
        about(
            "How many messages take which time from delivery to acknowledgement.",
            bad="a second band far above the first: some readers, or some messages, are slow.",
            then="narrow to one group at the top.",
        ),
        SECONDS,
        cells(buckets("rlb.message.ack.duration")),
        w=6,
        no_value=NO_ACK,
    )


def set_aside() -> Panel:
    return timeseries(
        "Set aside as dead letters",
        about(
            "Messages set aside in the 10 min before, after as many deliveries as are allowed or by hand, by group.",
            bad="any: the group goes on without them.",
            then="`rlb dlq list` shows them, `rlb dlq replay` has them delivered again. Alert: RLBPoisonMessages.",
        ),
        COUNT,
        series(top(rise("rlb.message.dead_lettered", "10m", "group")), "{{group}}"),
        w=6,
        at_least=1,
        no_value="None, or no app reads through these sidecars",
    )


def age_by_group() -> Panel:
    return timeseries(
        "Age at delivery p95",
        about(
            "How old messages are when a group's readers get them, 95 of 100, by group; 300 s at most.",
            bad="above what you promise to that group.",
            then="*Age of the oldest undelivered message* says if it goes on. Alert: RLBDeliveryLatencyBudgetBurn.",
        ),
        SECONDS,
        series(top(quantile(0.95, "rlb.message.age", "group")), "{{group}}", exemplars=True),
        no_value="Nothing was delivered to a group",
    )


def readers() -> Panel:
    return timeseries(
        "Readers",
        about(
            "Consumers of the groups by how long they have been silent. *dead* ones are removed if nothing is pending "
            "for them and that is allowed (`RLB_MONITOR__REMOVE_CONSUMERS_AFTER_SECONDS`).",
            bad="no *active* one while messages are undelivered; *dead* ones that pile up.",
            then="`rlb info` on a stream lists them with what is pending for each. Alert: RLBGroupHasNoConsumers.",
        ),
        COUNT,
        series(level("rlb.group.consumers", "state"), "{{state}}"),
        w=16,
        stacked=True,
        colours={"active": GOOD, "idle": UNKNOWN, "dead": BAD},
        no_value=NO_GROUP,
    )


def removed() -> Panel:
    return timeseries(
        "Dead readers removed",
        about(
            "Consumers that were dead, had nothing pending, and were removed each second.",
            bad="many: readers come and go under new names, as with one name for each restart.",
            then="give readers names that outlive a restart, such as that of their pod.",
        ),
        MESSAGES_PER_SECOND,
        series(top(rate("rlb.consumers.removed", "group")), "{{group}}"),
        w=8,
        no_value="None was removed, or removal is not allowed",
    )


def top_readers() -> Panel:
    by = ("group", "consumer")
    return table(
        "Readers with the most pending",
        about(
            "The few readers with the most pending messages, and how long they have been silent.",
            bad="many pending and silent for minutes: it hangs or is gone.",
            then="`rlb pending --consumer` shows what it holds, `rlb pending claim` hands it to another.",
        ),
        (Key("consumer", "Reader"), Key("group", "Group")),
        Column("Pending", COUNT, top(level("rlb.top.consumer.pending", by), 20)),
        Column("Silent for", SECONDS, level("rlb.top.consumer.idle", by)),
        w=12,
        no_value=ONLY_IF_ASKED,
        sort="Pending",
    )


def top_streams() -> Panel:
    return table(
        "Streams with the most undelivered",
        about(
            "The few streams on which a group is furthest behind. A hash stands for the stream unless "
            "`RLB_MONITOR__TOP_NAMES=key`.",
            bad="always the same ones.",
            then="`rlb info` on the stream; `rlb streams --sort lag` for more.",
        ),
        (Key("stream", "Stream", width=520), Key("group", "Group")),
        Column("Undelivered", COUNT, top(level("rlb.top.stream.lag", ("stream", "group")), 20)),
        w=12,
        no_value=ONLY_IF_ASKED,
        sort="Undelivered",
    )
