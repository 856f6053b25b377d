"""Every metric of the sidecar, once: both exporters, the documentation and the dashboards' tests derive from this.

Plain data; importing it loads neither OpenTelemetry nor prometheus_client.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rlb.telemetry.catalogue.bridge import DATA_PATH, INGEST
from rlb.telemetry.catalogue.generations import GENERATIONS
from rlb.telemetry.catalogue.itself import ITSELF
from rlb.telemetry.catalogue.metric import Attribute, Kind, Metric, Multiplier, prometheus_label
from rlb.telemetry.catalogue.streams import GROUPS, STREAMS

__all__ = ["CATALOGUE", "CONSTANTS", "SECTIONS", "Attribute", "Kind", "Metric", "Multiplier", "prometheus_label"]

SECTIONS: Mapping[str, tuple[Metric, ...]] = MappingProxyType(
    {
        "What apps send": INGEST,
        "Redis: writes and deliveries": DATA_PATH,
        "Generations": GENERATIONS,
        "Streams, as polled": STREAMS,
        "Consumer groups, as polled": GROUPS,
        "The sidecar itself": ITSELF,
    }
)
"""The metrics by what they are about."""

CATALOGUE: Mapping[str, Metric] = MappingProxyType(
    {metric.name: metric for metrics in SECTIONS.values() for metric in metrics}
)
"""The metrics by their OpenTelemetry name."""

CONSTANTS: Mapping[str, str] = MappingProxyType(
    {
        "messaging.system": "redis",
        "messaging.destination.template": "llm:stream:{session}:{model}",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "self_hosted",
    }
)
"""Attributes that have one value in a process, where the settings say nothing else. The registry fills them in."""
