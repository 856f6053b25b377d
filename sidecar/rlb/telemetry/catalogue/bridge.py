"""What apps send over the socket, and how it goes to and from Redis."""

from __future__ import annotations

from rlb.telemetry.catalogue.metric import Attribute, counter, gauge, histogram, updowncounter
from rlb.telemetry.catalogue.shared import (
    AGE,
    BATCH,
    CONSUMER_GROUP,
    ERROR_TYPE,
    ERROR_TYPE_IF_FAILED,
    GROUP,
    MAX_OPERATION_ERROR_TYPES,
    MESSAGING,
    MODEL,
    QUEUE,
    REDIS_OPERATION,
    REQUEST_MODEL,
)

REJECTED_REASON = Attribute(
    "reason", ("invalid_json", "schema", "too_large", "queue_full", "draining", "unauthorized", "other")
)
ROLE = Attribute("role", ("producer", "consumer", "admin"))
ANOMALY = Attribute("anomaly", ("gap", "duplicate", "reordered"))
DROPPED_REASON = Attribute("reason", ("retry_exhausted", "buffer_full", "shutdown", "refused"))

INGEST = (
    counter("rlb.ingest.tokens", "{token}", "Tokens accepted from apps: messages that carry one.", MODEL),
    counter("rlb.ingest.size", "By", "Bytes of the messages accepted from apps, as they are written.", MODEL),
    counter("rlb.ingest.rejected", "{message}", "Messages refused before they were queued.", REJECTED_REASON),
    updowncounter("rlb.ingest.connections", "{connection}", "Open connections of the Unix socket.", ROLE),
    gauge("rlb.ingest.queue.length", "{message}", "Messages taken from apps and not yet answered."),
    gauge(
        "rlb.ingest.queue.capacity",
        "{message}",
        "Messages that the queue holds if they are small; the bound itself is in bytes (rlb.ingest.queue.size.limit).",
    ),
    gauge("rlb.ingest.queue.size", "By", "Memory of the messages taken from apps and not yet answered."),
    gauge("rlb.ingest.queue.size.limit", "By", "Memory at which further messages are refused as overloaded."),
    histogram(
        "rlb.ingest.queue.duration",
        "s",
        "Time from the socket to the write, of the oldest message of each write.",
        QUEUE,
    ),
    counter(
        "rlb.sequence.anomalies",
        "{message}",
        "Messages whose sequence number does not follow the one before: some missing, repeated, or late.",
        MODEL,
        ANOMALY,
    ),
)

DATA_PATH = (
    counter(
        "messaging.client.sent.messages",
        "{message}",
        "Messages sent to Redis, each once however often it was tried; error.type only on those that failed.",
        *MESSAGING,
        Attribute("messaging.operation.name", ("XADD",)),
        REQUEST_MODEL,
        ERROR_TYPE_IF_FAILED,
    ),
    counter(
        "messaging.client.consumed.messages",
        "{message}",
        "Messages handed to apps that read in a group, each delivery of one.",
        *MESSAGING,
        Attribute("messaging.operation.name", ("XREADGROUP", "XCLAIM")),
        REQUEST_MODEL,
        CONSUMER_GROUP,
    ),
    histogram(
        "messaging.client.operation.duration",
        "s",
        "Round trips to Redis; the time that a read may block for is left out.",
        REDIS_OPERATION,
        MESSAGING[0],
        Attribute("messaging.operation.name", ("XADD", "XREADGROUP", "XCLAIM", "XACK")),
        Attribute("messaging.operation.type", follows=True),
        Attribute("error.type", most=MAX_OPERATION_ERROR_TYPES + 1, optional=True),
    ),
    histogram("rlb.write.batch.size", "{message}", "Messages that left in one write.", BATCH),
    counter("rlb.write.retries", "{retry}", "Messages sent again.", ERROR_TYPE),
    counter(
        "rlb.write.dropped",
        "{message}",
        "Messages taken from an app that could not be written, of which the app was told. Should stay 0.",
        DROPPED_REASON,
    ),
    histogram(
        "rlb.message.age",
        "s",
        "Age of a message when it is handed to an app that reads in a group: the lag from end to end.",
        AGE,
        GROUP,
    ),
    histogram("rlb.message.ack.duration", "s", "Time from a delivery to its acknowledgement.", AGE, GROUP),
    counter("rlb.message.acked", "{message}", "Deliveries acknowledged.", GROUP),
    counter("rlb.message.redelivered", "{message}", "Deliveries of a message that had been delivered before.", GROUP),
    counter("rlb.message.dead_lettered", "{message}", "Messages given up: copied to the group's dead letters.", GROUP),
)
