"""Attributes and buckets that several metrics have in common."""

from __future__ import annotations

from rlb.telemetry.catalogue.metric import Attribute

MODEL = Attribute("model")
GROUP = Attribute("group")
REQUEST_MODEL = Attribute("gen_ai.request.model")
CONSUMER_GROUP = Attribute("messaging.consumer.group.name")
MESSAGING = (Attribute("messaging.system"), Attribute("messaging.destination.template"))
GEN_AI = (Attribute("gen_ai.operation.name"), Attribute("gen_ai.provider.name"), REQUEST_MODEL)

MAX_ERROR_TYPES = 10
"""Error types with series of their own: prefixes of Redis errors, codes of ours; more are `other`."""

MAX_OPERATION_ERROR_TYPES = 1
"""The same for the durations of operations, where each one has a histogram for each operation."""

ERROR_TYPE = Attribute("error.type", most=MAX_ERROR_TYPES + 1)
ERROR_TYPE_IF_FAILED = Attribute("error.type", most=MAX_ERROR_TYPES + 1, optional=True)

# Where the semantic conventions advise bounds, these are all of theirs and more.
TOKEN_INTERVAL = (
    *(0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075),
    *(0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5),
)
TIME_TO_FIRST_TOKEN = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
    *(20, 40, 80, 160),
)
TIME_PER_OUTPUT_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
REQUEST_DURATION = (
    *(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
    *(160, 320, 640),
)
REDIS_OPERATION = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025),
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),
)
QUEUE = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
AGE = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
TOKENS = (1, 4, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
POLL = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LOOP = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
