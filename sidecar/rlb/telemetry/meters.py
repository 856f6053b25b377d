"""The counters and histograms of one model or group, fetched once: the path of a token only adds to them."""

from __future__ import annotations

from typing import Generic, TypeVar, get_args

from rlb.domain.generation import Anomaly, Finish
from rlb.telemetry.labels import LabelCaps
from rlb.telemetry.registry import Counter, Histogram, Registry

MAX_NAMES = 10_000
"""Names that are looked up at once; those beyond are folded again each time, which costs more and gives the same."""

Meters = TypeVar("Meters")


class ModelMeters:
    """What is counted of one model: as a counter's label, and as that of a histogram."""

    __slots__ = (
        "_caps",
        "_histogram_model",
        "_registry",
        "anomalies",
        "completed",
        "generation_tokens",
        "intervals",
        "model",
        "open",
        "sent",
        "size",
        "stalled",
        "tokens",
    )

    def __init__(self, registry: Registry, caps: LabelCaps, model: str, histogram_model: str) -> None:
        self._registry = registry
        self._caps = caps
        self._histogram_model = histogram_model
        self.model = model
        self.open = 0
        """Generations begun and not completed."""
        self.stalled = 0
        """Those among them without a token for too long, as the last round found."""
        self.tokens = registry.counter("rlb.ingest.tokens", model=model)
        self.size = registry.counter("rlb.ingest.size", model=model)
        self.anomalies: dict[Anomaly, Counter] = {
            anomaly: registry.counter("rlb.sequence.anomalies", model=model, anomaly=anomaly)
            for anomaly in get_args(Anomaly)
        }
        self.completed: dict[Finish, Counter] = {
            finish: registry.counter("rlb.generation.completed", model=model, finish_reason=finish)
            for finish in get_args(Finish)
        }
        self.sent = registry.counter(
            "messaging.client.sent.messages",
            **{"messaging.operation.name": "XADD", "gen_ai.request.model": model},
        )
        self.intervals = registry.histogram("rlb.token.interval", model=histogram_model)
        self.generation_tokens = registry.histogram("rlb.generation.tokens", model=histogram_model)

    def failed(self, error_type: str) -> Counter:
        """The counter of messages that were not written, by why."""
        labels = {"messaging.operation.name": "XADD", "gen_ai.request.model": self.model}
        folded = self._caps.error_types.fold(error_type)
        return self._registry.counter("messaging.client.sent.messages", **labels, **{"error.type": folded})

    def once(self, name: str, error_type: str | None = None) -> Histogram:
        """A histogram of what comes once a generation, if it comes at all: made when it is first needed."""
        failure = {"error.type": error_type} if error_type is not None else {}
        return self._registry.histogram(name, **{"gen_ai.request.model": self._histogram_model}, **failure)


class GroupMeters:
    """What is counted of one consumer group."""

    __slots__ = ("ack_durations", "acked", "ages", "dead_lettered", "redelivered")

    def __init__(self, registry: Registry, group: str) -> None:
        self.ages = registry.histogram("rlb.message.age", group=group)
        self.ack_durations = registry.histogram("rlb.message.ack.duration", group=group)
        self.acked = registry.counter("rlb.message.acked", group=group)
        self.redelivered = registry.counter("rlb.message.redelivered", group=group)
        self.dead_lettered = registry.counter("rlb.message.dead_lettered", group=group)


class PairMeters:
    """What is counted of one group on the streams of one model."""

    __slots__ = ("claimed", "read")

    def __init__(self, registry: Registry, model: str, group: str) -> None:
        of_pair = {"gen_ai.request.model": model, "messaging.consumer.group.name": group}
        self.read, self.claimed = (
            registry.counter("messaging.client.consumed.messages", **of_pair, **{"messaging.operation.name": name})
            for name in ("XREADGROUP", "XCLAIM")
        )


class _Shelf(Generic[Meters]):
    """Meters by the names that were folded into their labels. The labels are capped, and so are the names."""

    def __init__(self) -> None:
        self.by_name: dict[object, Meters] = {}
        self.by_labels: dict[object, Meters] = {}

    def put(self, name: object, labels: object, meters: Meters) -> Meters:
        """Keep meters for their labels, and under one more name."""
        meters = self.by_labels.setdefault(labels, meters)
        if len(self.by_name) < MAX_NAMES:
            self.by_name[name] = meters
        return meters


class MeterBook:
    """All meters of models and groups, made when a name is first seen."""

    def __init__(self, registry: Registry, caps: LabelCaps) -> None:
        self._registry = registry
        self._caps = caps
        self._models: _Shelf[ModelMeters] = _Shelf()
        self._groups: _Shelf[GroupMeters] = _Shelf()
        self._pairs: _Shelf[PairMeters] = _Shelf()

    @property
    def models(self) -> list[ModelMeters]:
        """Those of all models that were seen."""
        return list(self._models.by_labels.values())

    def model(self, model_id: str) -> ModelMeters:
        """The meters of a model, which may be those of `other`."""
        meters = self._models.by_name.get(model_id)
        if meters is None:
            labels = self._caps.models.fold(model_id), self._caps.fold_histogram_model(model_id)
            meters = self._models.by_labels.get(labels) or ModelMeters(self._registry, self._caps, *labels)
            self._models.put(model_id, labels, meters)
        return meters

    def group(self, group: str) -> GroupMeters:
        """The meters of a group."""
        meters = self._groups.by_name.get(group)
        if meters is None:
            label = self._caps.groups.fold(group)
            meters = self._groups.by_labels.get(label) or GroupMeters(self._registry, label)
            self._groups.put(group, label, meters)
        return meters

    def pair(self, model_id: str, group: str) -> PairMeters:
        """The meters of a group on a model's streams."""
        name = model_id, group
        meters = self._pairs.by_name.get(name)
        if meters is None:
            labels = self._caps.fold_pair(model_id, group)
            meters = self._pairs.by_labels.get(labels) or PairMeters(self._registry, *labels)
            self._pairs.put(name, labels, meters)
        return meters
