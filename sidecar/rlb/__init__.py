"""rlb carries the tokens of language models from producers to consumers through Redis Streams.

The names of the Python client are found here, and loaded when they are first used: `import rlb` alone stays cheap.
Errors are in `rlb.errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rlb._version import __version__

if TYPE_CHECKING:
    from rlb.client import (
        Ack,
        Backoff,
        Bridge,
        DeadLetter,
        Delivery,
        FinishedGeneration,
        Generation,
        Health,
        PendingInfo,
        PendingPage,
        ProcessorStatistics,
        Relayed,
        StreamProcessor,
        Subscription,
        SyncBridge,
        SyncDelivery,
        SyncGeneration,
        SyncSubscription,
        SyncTail,
        Tail,
    )
    from rlb.domain.entry import Gap
    from rlb.domain.message import Metadata, Payload, StreamConfig, StreamMessage
    from rlb.domain.stream_info import ConsumerInfo, GroupInfo, StreamInfo, StreamPage

__all__ = [
    "Ack",
    "Backoff",
    "Bridge",
    "ConsumerInfo",
    "DeadLetter",
    "Delivery",
    "FinishedGeneration",
    "Gap",
    "Generation",
    "GroupInfo",
    "Health",
    "Metadata",
    "Payload",
    "PendingInfo",
    "PendingPage",
    "ProcessorStatistics",
    "Relayed",
    "StreamConfig",
    "StreamInfo",
    "StreamMessage",
    "StreamPage",
    "StreamProcessor",
    "Subscription",
    "SyncBridge",
    "SyncDelivery",
    "SyncGeneration",
    "SyncSubscription",
    "SyncTail",
    "Tail",
    "__version__",
]

_DOMAIN = {
    "Gap": "entry",
    "Metadata": "message",
    "Payload": "message",
    "StreamConfig": "message",
    "StreamMessage": "message",
    "ConsumerInfo": "stream_info",
    "GroupInfo": "stream_info",
    "StreamInfo": "stream_info",
    "StreamPage": "stream_info",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = f"rlb.domain.{_DOMAIN[name]}" if name in _DOMAIN else "rlb.client"
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
