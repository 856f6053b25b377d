"""What co-located Python apps import: a bridge to the sidecar, for asyncio and for threads."""

from __future__ import annotations

from rlb.client.answers import Ack, Component, DeadLetter, Health, PendingInfo, PendingPage
from rlb.client.bridge import Bridge
from rlb.client.delivery import Delivery
from rlb.client.finished_generation import FinishedGeneration
from rlb.client.generation import Generation
from rlb.client.patience import Backoff
from rlb.client.processor import ProcessorStatistics, StreamProcessor
from rlb.client.producer_calls import Relayed
from rlb.client.subscription import Subscription
from rlb.client.sync_bridge import SyncBridge
from rlb.client.sync_streams import SyncDelivery, SyncGeneration, SyncSubscription, SyncTail
from rlb.client.tail import Tail

__all__ = [
    "Ack",
    "Backoff",
    "Bridge",
    "Component",
    "DeadLetter",
    "Delivery",
    "FinishedGeneration",
    "Generation",
    "Health",
    "PendingInfo",
    "PendingPage",
    "ProcessorStatistics",
    "Relayed",
    "StreamProcessor",
    "Subscription",
    "SyncBridge",
    "SyncDelivery",
    "SyncGeneration",
    "SyncSubscription",
    "SyncTail",
    "Tail",
]
