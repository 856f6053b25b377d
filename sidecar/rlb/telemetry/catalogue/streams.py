"""Streams and consumer groups as Redis has them at the last poll. What is unknown is absent."""

from __future__ import annotations

from rlb.telemetry.catalogue.metric import Attribute, counter, gauge
from rlb.telemetry.catalogue.shared import GROUP, MODEL

MAX_TOP = 20

QUALITY = Attribute("quality", ("exact", "server", "bounded", "unknown"))
STATUS = Attribute("status", ("ok", "lagging", "stalled", "stopped", "rewound", "losing", "unknown"))
STATE = Attribute("state", ("active", "idle", "dead"))

STREAMS = (
    gauge("rlb.stream.count", "{stream}", "Streams that are watched.", MODEL),
    gauge("rlb.stream.length", "{message}", "Entries in all streams.", MODEL),
    gauge("rlb.stream.length.max", "{message}", "Entries in the longest stream.", MODEL),
    gauge("rlb.stream.memory", "By", "Memory of the streams in Redis, estimated from a sample of them.", MODEL),
    counter("rlb.stream.entries_added", "{message}", "Entries written, by whomever.", MODEL),
    counter("rlb.stream.trimmed", "{message}", "Entries removed by trimming or with an expired stream.", MODEL),
    gauge("rlb.stream.retention.age", "s", "Age of the oldest entry that is kept.", MODEL),
    gauge("rlb.stream.retention.limit", "{message}", "Entries at which a stream is trimmed (the smallest).", MODEL),
    gauge("rlb.stream.ttl.min", "s", "Soonest expiry among the streams with undelivered entries.", MODEL),
)

GROUPS = (
    gauge("rlb.group.lag", "{message}", "Entries not yet delivered, where that is known.", MODEL, GROUP),
    gauge("rlb.group.lag.max", "{message}", "Entries not yet delivered on the worst stream.", MODEL, GROUP),
    gauge("rlb.group.lag.age", "s", "Age of the oldest entry not yet delivered.", MODEL, GROUP),
    gauge("rlb.group.lag.streams", "{stream}", "Streams, by how well their lag is known.", MODEL, GROUP, QUALITY),
    gauge("rlb.group.streams", "{stream}", "Streams, by the group's status on them.", MODEL, GROUP, STATUS),
    gauge(
        "rlb.group.retention.headroom",
        "s",
        "Time until undelivered entries are trimmed or expire at the present rates, on the worst stream.",
        MODEL,
        GROUP,
    ),
    counter("rlb.group.entries_read", "{message}", "Entries delivered.", MODEL, GROUP),
    counter("rlb.group.lost", "{message}", "Entries removed before they were delivered.", MODEL, GROUP),
    counter(
        "rlb.group.gone",
        "{message}",
        "Entries undelivered at the last poll of a stream that has expired or was deleted since.",
        MODEL,
        GROUP,
    ),
    gauge("rlb.group.pending", "{message}", "Entries delivered and not acknowledged.", MODEL, GROUP),
    gauge("rlb.group.pending.age", "s", "Age of the oldest entry delivered and not acknowledged.", MODEL, GROUP),
    gauge("rlb.group.pending.idle", "s", "Longest time since a pending entry was last delivered.", MODEL, GROUP),
    gauge(
        "rlb.group.poison",
        "{message}",
        "Pending entries delivered as often as is allowed, among those looked at.",
        MODEL,
        GROUP,
    ),
    gauge("rlb.group.consumers", "{consumer}", "Consumers, by how long they have been idle.", MODEL, GROUP, STATE),
    gauge(
        "rlb.top.stream.lag",
        "{message}",
        "Entries not yet delivered, of the worst streams (RLB_MONITOR__TOP_STREAMS).",
        Attribute("stream", most=MAX_TOP),
        # A row of this list is a stream and a group; so it is below with a consumer.
        Attribute("group", follows=True),
    ),
    gauge(
        "rlb.top.consumer.pending",
        "{message}",
        "Pending entries of the consumers with the most (RLB_MONITOR__TOP_STREAMS).",
        Attribute("group", follows=True),
        Attribute("consumer", most=MAX_TOP),
    ),
    gauge(
        "rlb.top.consumer.idle",
        "s",
        "Time since these consumers last called (RLB_MONITOR__TOP_STREAMS).",
        Attribute("group", follows=True),
        Attribute("consumer", most=MAX_TOP),
    ),
)
