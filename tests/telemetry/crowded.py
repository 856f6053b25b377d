"""Registries in which everything was counted and polled that can be, by the code that does so in a sidecar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

from rlb.domain.census import (
    Census,
    GroupCensus,
    GroupTotals,
    ModelCensus,
    ModelTotals,
    TopConsumer,
    TopStream,
    Totals,
)
from rlb.domain.generation import FAILURES
from rlb.domain.lag import LagQuality
from rlb.domain.stream_info import ConsumerState, GroupStatus
from rlb.errors import InvalidJsonError
from rlb.settings import LimitsSettings, MonitorSettings, Settings
from rlb.telemetry.catalogue import Multiplier
from rlb.telemetry.catalogue.streams import MAX_TOP
from rlb.telemetry.duty_counts import DutyCounts
from rlb.telemetry.instruments import OPERATION_TYPES, Instruments
from rlb.telemetry.labels import Cap, LabelCaps
from rlb.telemetry.otlp_log import ExportLog
from rlb.telemetry.poll_counts import PollCounts
from rlb.telemetry.polled import polled
from rlb.telemetry.purse import possible_metrics
from rlb.telemetry.registry import Registry, Sample
from rlb.telemetry.self_metrics import Parts, PollState, QueueState, self_metrics

EVERYTHING = MonitorSettings(top_streams=MAX_TOP, probe_seconds=1)
POOLS = ("main", "side", "reader-0", "reader-1", "monitor", "lease", "probe", "a", "b")


@dataclass(frozen=True)
class Link:
    """A connection to Redis."""

    name: str
    is_up: bool = True
    in_flight_bytes: int = 0


class Crowd:
    """So many models and groups, each group on each model, and errors of so many types."""

    def __init__(
        self,
        limits: LimitsSettings,
        *,
        models: int,
        groups: int,
        errors: int,
        monitor: MonitorSettings = EVERYTHING,
        serves_apps: bool = True,
    ) -> None:
        self.registry = Registry()
        self.models = [f"maker/model-{number}" for number in range(models)]
        self.groups = [f"group-{number}" for number in range(groups)]
        # The first one is counted beforehand.
        self.errors = ["unavailable", *(f"ERR{number}" for number in range(1, errors))]
        self.pairs = [(model, group) for group in self.groups for model in self.models]
        self.monitor = monitor
        self.serves_apps = serves_apps
        self.possible = possible_metrics(monitor, serves_apps=serves_apps)
        self.caps = LabelCaps(limits, self.registry, self.possible)

    def count(self) -> None:
        """What apps and their writes and reads come to: each value once."""
        instruments = Instruments(self.registry, self.caps, Settings().generation)
        instruments.refused(InvalidJsonError("why"))
        instruments.flushed(1, 1.0)
        book = instruments._book
        for model in self.models:
            meters = book.model(model)
            meters.tokens.value += 1
            meters.sent.value += 1
            meters.open += 1
            meters.intervals.observe(1)
            for finish in (None, *FAILURES):
                meters.once("gen_ai.server.request.duration", finish).observe(1)
            meters.once("gen_ai.server.time_to_first_token").observe(1)
            meters.once("gen_ai.server.time_per_output_token").observe(1)
            for error in self.errors:
                meters.failed(error).value += 1
        for group in self.groups:
            book.group(group).ages.observe(1)
        for pair in self.pairs:
            book.pair(*pair).read.value += 1
        for error in self.errors:
            instruments.retried(error)
            for operation in OPERATION_TYPES:
                instruments.round_trip(operation, 1.0, error)

    def poll(self) -> None:
        """What a monitor finds and does: one stream for each pair, with all that can be known of it."""
        polls = PollCounts(self.registry, self.caps)
        polls.polled(1.0)
        for error in self.errors:
            polls.poll_failed(error, 1)
        duty = DutyCounts(self.registry, self.caps)
        for group in self.groups:
            duty.removed(group)
        if self.monitor.probe_seconds:
            duty.probed(1.0)
            duty.probed(None)
        top = range(self.monitor.top_streams)
        census = Census(
            1.0,
            {name: ModelCensus(1, 1, 1, 1, 1.0, 1, 1.0) for name in self.models},
            {pair: self._group() for pair in self.pairs},
            top_streams=[TopStream(f"s-{number}", self.groups[number % len(self.groups)], 1) for number in top],
            top_consumers=[
                TopConsumer(self.groups[number % len(self.groups)], f"c-{number}", 1, 1.0) for number in top
            ],
        )
        totals = Totals(
            {name: ModelTotals(1, 1) for name in self.models}, {pair: GroupTotals(1, 1) for pair in self.pairs}
        )
        self.registry.observe_with(polled(lambda: census, lambda: totals, self.caps))
        # What is polled is folded when it is asked for.
        list(self.registry.collect())

    def look(self) -> None:
        """What the process says of itself."""
        roles = {"producer": 1, "consumer": 1, "admin": 1} if self.serves_apps else {}
        parts = Parts(
            queue=(lambda: QueueState(1, 1)) if self.serves_apps else None,
            roles=lambda: roles,
            links=lambda: [Link(name) for name in POOLS],
            poll=lambda: PollState(1.0, 1.0, leads=True, observed=True, lease="a"),
        )
        self.registry.observe_with(self_metrics(Settings(monitor=self.monitor), parts, {}))
        # While no observer leads, there is no lease to name.
        self.registry.observe_with(lambda: [Sample("rlb.monitor.observed", {}, 0)])
        self.registry.histogram("rlb.eventloop.lag").observe(1)
        ExportLog("metrics", self.registry).ok()
        ExportLog("traces", self.registry).ok()
        for signal in ("metrics", "traces"):
            self.registry.counter("rlb.otlp.exports", signal=signal, outcome="dropped")

    def let_through(self) -> dict[Multiplier, int]:
        """How many values have series of their own, by what multiplies."""
        caps = self.caps
        labels: dict[Multiplier, Cap[Any]] = {
            "model": caps.models,
            "model.histogram": caps.histogram_models,
            "group": caps.groups,
            "model.group": caps._pairs,
        }
        # Each cap knows `other` too.
        return {name: len(cap._shown) - 1 for name, cap in labels.items()}

    @staticmethod
    def _group() -> GroupCensus:
        return GroupCensus(
            *(1, 1, 1.0, 1.0, 1, 1.0, 1.0, 1),
            dict.fromkeys(get_args(LagQuality), 1),
            dict.fromkeys(get_args(GroupStatus), 1),
            dict.fromkeys(get_args(ConsumerState), 1),
        )
