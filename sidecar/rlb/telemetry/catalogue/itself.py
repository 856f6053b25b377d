"""The sidecar itself: its polls, its Redis, its loop, its telemetry."""

from __future__ import annotations

from rlb.telemetry.catalogue.metric import Attribute, counter, gauge, histogram, updowncounter
from rlb.telemetry.catalogue.shared import ERROR_TYPE, GROUP, LOOP, POLL, REDIS_OPERATION

OVERFLOWING = ("model", "model.histogram", "group", "model.group", "error.type", "error.type.duration")
"""The caps, see `rlb.telemetry.labels`."""

ITSELF = (
    histogram("rlb.poll.duration", "s", "Time of one whole poll.", POLL),
    counter("rlb.poll.errors", "{error}", "Commands of polls that failed.", ERROR_TYPE),
    gauge(
        "rlb.poll.last_success.timestamp",
        "s",
        "Unix time of the last poll that succeeded: how fresh all polled metrics are.",
    ),
    counter("rlb.poll.streams.skipped", "{stream}", "Streams left out of a poll, as it was over its budget."),
    gauge(
        "rlb.monitor.leader",
        "1",
        "1 on the observer that polls, 0 on those that stand by; `lease` is what it leads by.",
        Attribute("lease"),
    ),
    gauge(
        "rlb.monitor.observed",
        "1",
        "On sidecars: 1 while an observer polls the same Redis, which has the same `lease`; 0 while none does.",
        Attribute("lease", optional=True),
    ),
    histogram("rlb.probe.duration", "s", "Synthetic round trips through Redis that succeeded.", REDIS_OPERATION),
    counter(
        "rlb.probe.attempts",
        "{probe}",
        "Synthetic round trips through Redis.",
        Attribute("outcome", ("ok", "failed")),
    ),
    counter("rlb.consumers.removed", "{consumer}", "Dead consumers with nothing pending that were removed.", GROUP),
    gauge("rlb.redis.up", "1", "1 while the connection to Redis is up."),
    gauge("rlb.redis.clock.skew", "s", "Clock of Redis minus the clock here."),
    updowncounter(
        "db.client.connection.count",
        "{connection}",
        "Connections to Redis, by whether a command waits for a reply.",
        Attribute("db.client.connection.pool.name", most=8),
        Attribute("db.client.connection.state", ("idle", "used")),
    ),
    gauge(
        "rlb.build.info",
        "1",
        "Always 1; its labels say what runs.",
        *(Attribute(name) for name in ("version", "revision", "python.version")),
    ),
    gauge(
        "rlb.config.info",
        "1",
        "Always 1; its labels are settings that queries ask for.",
        *(Attribute(name) for name in ("scope", "trim_policy", "max_length", "retention_ms", "interval_seconds")),
    ),
    histogram("rlb.eventloop.lag", "s", "How much later than asked the event loop ran a timer.", LOOP),
    counter(
        "rlb.cardinality.overflow",
        "{event}",
        "Times that a new label value was folded into `other`, as a cap was reached.",
        Attribute("attribute", OVERFLOWING),
    ),
    counter(
        "rlb.otlp.exports",
        "{export}",
        "Exports over OTLP; `dropped` counts single spans that found the queue full.",
        Attribute("signal", ("metrics", "traces")),
        Attribute("outcome", ("ok", "failed", "dropped")),
    ),
)
