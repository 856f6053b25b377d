"""The names of the alerts. The place in the list is the id of the alert's panel among the runbooks, from 1."""

from __future__ import annotations

ALERT_NAMES: tuple[str, ...] = (
    "RLBWriteErrorBudgetBurn",
    "RLBDeliveryLatencyBudgetBurn",
    "RLBMessagesLost",
    "RLBConsumerGroupStalled",
    "RLBConsumerGroupLagging",
    "RLBConsumerGroupLagGrowing",
    "RLBRetentionAtRisk",
    "RLBGroupHasNoConsumers",
    "RLBPendingStuck",
    "RLBPoisonMessages",
    "RLBLagUnknown",
    "RLBStreamNearCapacity",
    "RLBHighTokenInterval",
    "RLBHighTimeToFirstToken",
    "RLBQueueSaturated",
    "RLBIngestRejecting",
    "RLBSequenceAnomalies",
    "RLBRedisDown",
    "RLBPollStale",
    "RLBObserverHasNoLeader",
    "RLBProbeFailing",
    "RLBDown",
    "RLBTargetsMissing",
    "RLBEventLoopLag",
    "RLBCardinalityOverflow",
    "RLBTelemetryExportFailing",
    "RLBClockSkew",
)
"""New ones are added at the end: links to a runbook hold its number."""
