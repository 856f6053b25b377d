"""The sections about looking on: what is polled, how it is judged, and what is told of it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rlb.settings.section import HOUR_S, Section
from rlb.settings.values import LowerCase, Patterns


class MonitorSettings(Section):
    """What is polled: XINFO and XPENDING of every watched stream."""

    scope: Annotated[Literal["own", "all", "off"], LowerCase] = Field(
        default="own",
        description="`own`: streams that this sidecar touches; `all`: every stream that matches, as one of many "
        "replicas of which one polls; `off`: none.",
    )
    patterns: Patterns = Field(
        default=(),
        description="Keys that are watched with scope `all`: globs, or templates such as `orders:{region}`, which is "
        "then the streams' `model`. Empty: the streams of rlb. A `{model}` in a template gives the model instead.",
    )
    interval_seconds: float = Field(
        default=5.0, ge=0.05, le=HOUR_S, description="Seconds between two polls of a stream that changes."
    )
    idle_interval_seconds: float = Field(
        default=30.0,
        ge=0.05,
        le=HOUR_S,
        description="Seconds between two polls of one at rest; at least the interval.",
    )
    sweep_seconds: float = Field(
        default=30.0, ge=0.1, le=24 * HOUR_S, description="Seconds between two sweeps of the key space (SCAN)."
    )
    commands_per_second: int = Field(
        default=50_000, ge=10, le=10**7, description="Commands that polls may send; streams over it wait, and count."
    )
    max_streams: int = Field(
        default=200_000, ge=1, le=10**7, description="Streams watched at once; more are counted as skipped."
    )
    forget_seconds: float = Field(
        default=900.0,
        ge=1,
        le=24 * HOUR_S,
        description="Seconds that an own stream stays watched after its use here.",
    )
    lag_floor: int = Field(
        default=100, ge=0, le=10**9, description="Entries of lag below which a group counts as ok while it reads."
    )
    stalled_seconds: float = Field(
        default=30.0, ge=0.1, le=24 * HOUR_S, description="Seconds without progress after which a lagging group stalls."
    )
    window_seconds: float = Field(
        default=60.0, ge=0.5, le=HOUR_S, description="Seconds over which rates and a group's status are judged."
    )
    losing_seconds: float = Field(
        default=60.0, ge=0, le=24 * HOUR_S, description="Headroom in seconds below which a group is losing."
    )
    dead_consumer_seconds: float = Field(
        default=900.0, ge=1, le=365 * 24 * HOUR_S, description="Seconds without a call after which a consumer is dead."
    )
    remove_consumers_after_seconds: float = Field(
        default=0.0,
        ge=0,
        le=365 * 24 * HOUR_S,
        description="Seconds without a call after which a consumer with nothing pending is removed; 0 = never.",
    )
    probe_seconds: float = Field(
        default=0.0, ge=0, le=HOUR_S, description="Seconds between two synthetic round trips through Redis; 0 = none."
    )
    lease_seconds: float = Field(
        default=5.0, ge=0.2, le=HOUR_S, description="Seconds after which another observer takes over from a silent one."
    )
    top_streams: int = Field(
        default=0, ge=0, le=20, description="Streams with the most lag that get series of their own; 0 = none."
    )
    top_names: Annotated[Literal["key", "hash"], LowerCase] = Field(
        default="hash", description="What names such a stream in its label: its key, or a hash of it."
    )


class LimitsSettings(Section):
    """Caps on series and label values in metrics; what is beyond is folded into `other`, and counted."""

    series: int = Field(
        default=3000,
        ge=800,
        le=1_000_000,
        description="Series of all metrics together, at the most; a label value for which there is no room has none "
        "of its own, whatever the caps below allow.",
    )
    models: int = Field(default=50, ge=1, le=500, description="Models with series of their own.")
    models_histograms: int = Field(default=10, ge=1, le=500, description="Models with histograms of their own.")
    groups: int = Field(default=20, ge=1, le=200, description="Consumer groups with series of their own.")
    series_groups: int = Field(
        default=100, ge=1, le=10_000, description="Pairs of model and consumer group with series of their own."
    )


class GenerationSettings(Section):
    """The view of generations that the append path gives."""

    stalled_seconds: float = Field(
        default=10.0, ge=0.1, le=HOUR_S, description="Seconds without a token after which an open generation stalls."
    )
    abandoned_seconds: float = Field(
        default=300.0, ge=0.1, le=24 * HOUR_S, description="Seconds without a token after which it counts as abandoned."
    )
    max_open: int = Field(
        default=100_000, ge=1, le=10**7, description="Open generations that are timed; more are not, and count."
    )
    provider: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = Field(
        default="self_hosted", description="`gen_ai.provider.name` in metrics and spans."
    )


class TraceSettings(Section):
    """Spans, where the standard `OTEL_*` variables switch them on."""

    inject: Annotated[Literal["first_last", "every", "off"], LowerCase] = Field(
        default="first_last", description="Entries of a sampled generation that carry its `traceparent`."
    )
    deliveries: Annotated[Literal["link", "parent"], LowerCase] = Field(
        default="link", description="How the span of a read refers to the generations that it read."
    )
