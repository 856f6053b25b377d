"""The settings of a sidecar: one typed, frozen tree in which every field states its meaning, unit and bounds.

`source` fills it, `description` derives the schema and the table of the documentation from it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from rlb.settings.values import (
    FileMode,
    HostName,
    KernelIds,
    KeyPrefix,
    LowerCase,
    OptionalPath,
    OptionalText,
    Password,
    Patterns,
    RedisUrl,
    SocketPath,
    default_socket_path,
)

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
HOUR_S = 3600
HOUR_MS = 1000 * HOUR_S
YEAR_MS = 365 * 24 * HOUR_MS


def disagreement(relation: str, *fields: str) -> PydanticCustomError:
    """The error of good values that do not go together; `fields` are theirs, the likeliest culprit first."""
    return PydanticCustomError("disagreement", "{relation}", {"relation": relation, "fields": fields})


class Section(BaseModel):
    """What all sections have in common: nothing changes after the start, and nothing unknown is let through."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _number_is_no_truth_value(cls, value: Any) -> Any:
        """YAML reads `no` and `off` as false, which would pass as 0. No field is a truth value."""
        if isinstance(value, bool):
            raise PydanticCustomError("truth_value", "a truth value fits no setting")
        return value


class SocketSettings(Section):
    """The Unix socket that apps talk to, and what one peer may ask of it."""

    path: SocketPath = Field(
        default_factory=default_socket_path,
        validate_default=True,
        description="Path of the socket, at most 107 bytes. Default: `/run/rlb/rlb.sock` if its folder is writable, "
        "else `$XDG_RUNTIME_DIR/rlb/rlb.sock`, else `/tmp/rlb-<uid>/rlb.sock`.",
    )
    mode: FileMode = Field(default=0o660, description="File mode of the socket, octal.")
    allow_uids: KernelIds = Field(
        default=(),
        description="User ids that may connect. Both lists empty: whoever the socket's file permissions let in.",
    )
    allow_gids: KernelIds = Field(default=(), description="Group ids that may connect, besides the user ids.")
    folder: Annotated[Literal["private", "shared"], LowerCase] = Field(
        default="private",
        description="`private`: no folder to which others may write, as they could replace the socket. `shared`: such "
        "a folder will do, as a pod's emptyDir, which only the pod's own containers reach.",
    )
    max_connections: int = Field(default=1024, ge=1, le=65536, description="Connections open at once.")
    max_connections_per_uid: int = Field(
        default=1024, ge=1, le=65536, description="Connections open at once from one user id."
    )
    header_timeout_s: float = Field(
        default=5.0, ge=0.1, le=HOUR_S, description="Seconds that the header of a request may take to arrive."
    )
    body_timeout_s: float = Field(
        default=30.0, ge=0.1, le=HOUR_S, description="Seconds without a byte of an unfinished request body."
    )
    keep_alive_s: float = Field(
        default=75.0, ge=0.1, le=24 * HOUR_S, description="Seconds that a connection may stay open between requests."
    )
    max_header_bytes: int = Field(default=64 * KIB, ge=KIB, le=MIB, description="Largest request header, in bytes.")
    max_message_bytes: int = Field(
        default=MIB, ge=KIB, le=64 * MIB, description="Largest message or NDJSON line, in bytes (413 above it)."
    )
    max_body_bytes: int = Field(
        default=8 * MIB,
        ge=KIB,
        le=GIB,
        description="Largest request body that is not a stream of lines, in bytes (413 above it).",
    )

    @model_validator(mode="after")
    def _message_fits_into_body(self) -> Self:
        if self.max_message_bytes > self.max_body_bytes:
            raise disagreement("max_message_bytes <= max_body_bytes", "max_message_bytes", "max_body_bytes")
        return self


class MetricsSettings(Section):
    """The TCP port for probes and scrapes."""

    host: HostName = Field(default="127.0.0.1", description="Address to listen on; loopback unless asked otherwise.")
    port: int = Field(default=9464, ge=0, le=65535, description="TCP port; 0 = off.")


class RedisSettings(Section):
    """The Redis server behind the bridge."""

    url: RedisUrl = Field(
        default=None,
        repr=False,
        description="`redis://[user:password@]host[:port][/db]`, `rediss://...` (TLS) or `unix:///path[?db=n]`.",
    )
    username: OptionalText = Field(default=None, description="ACL user, if the URL names none.")
    password: Password = Field(default=None, description="Password; a file is safer than the environment.")
    password_file: OptionalPath = Field(
        default=None, description="File that holds the password; read at every connect, so a new one is picked up."
    )
    tls_ca_file: OptionalPath = Field(
        default=None, description="PEM file of the authorities to trust with `rediss://`; none = the system's."
    )
    tls_cert_file: OptionalPath = Field(default=None, description="PEM file of our certificate, if Redis asks for one.")
    tls_key_file: OptionalPath = Field(default=None, description="PEM file of our certificate's key.")
    connect_timeout_s: float = Field(
        default=2.0, ge=0.05, le=60, description="Seconds for a connection, with TLS and sign-in."
    )
    reply_timeout_s: float = Field(
        default=5.0, ge=0.05, le=300, description="Seconds without a due reply after which a connection is given up."
    )
    backoff_min_s: float = Field(default=0.02, ge=0.001, le=60, description="Seconds before the first reconnect.")
    backoff_max_s: float = Field(default=0.5, ge=0.001, le=60, description="Longest pause between reconnects, seconds.")
    auth_retry_s: float = Field(
        default=30.0, ge=0.1, le=HOUR_S, description="Seconds between attempts after Redis has refused our sign-in."
    )
    link_buffer_bytes: int = Field(
        default=64 * MIB, ge=MIB, le=4 * GIB, description="Bytes of commands that may wait on one connection."
    )

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        url = urlsplit(self.url or "")
        if self.username is not None and url.username:
            raise disagreement("the user name once: in username or in url", "username", "url")
        if [self.password, self.password_file, url.password].count(None) < 2:
            raise disagreement(
                "the password once: in password_file, password or url", "password_file", "password", "url"
            )
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise disagreement("both or neither of tls_cert_file and tls_key_file", "tls_cert_file", "tls_key_file")
        if self.backoff_min_s > self.backoff_max_s:
            raise disagreement("backoff_min_s <= backoff_max_s", "backoff_min_s", "backoff_max_s")
        return self


class StreamSettings(Section):
    """The streams in Redis, one a generation's session and model."""

    prefix: KeyPrefix = Field(default="llm:stream", description="What the keys of streams begin with.")
    max_length: int = Field(
        default=10_000, ge=0, le=10**9, description="Entries kept in a stream, approximate; 0 = no limit."
    )
    retention_ms: int = Field(
        default=HOUR_MS,
        ge=0,
        le=10 * YEAR_MS,
        description="Milliseconds that a stream outlives its last write; 0 = it never expires.",
    )
    dedupe_entries: int = Field(
        default=256, ge=1, le=65536, description="Latest entries of a stream that a repeated write is compared with."
    )
    renew_ms: int = Field(
        default=1000, ge=1, le=HOUR_MS, description="Milliseconds between two renewals of a stream's expiry."
    )


class AppendSettings(Section):
    """The way of a write from the socket to Redis."""

    buffer_bytes: int = Field(
        default=32 * MIB, ge=64 * KIB, le=64 * GIB, description="Bytes of unanswered writes in the whole sidecar."
    )
    stream_buffer_bytes: int = Field(
        default=4 * MIB, ge=KIB, le=64 * GIB, description="Bytes of unanswered writes to one stream."
    )
    deadline_ms: int = Field(
        default=5000, ge=10, le=HOUR_MS, description="Milliseconds after which a write that Redis has not taken is 503."
    )


class GroupsSettings(Section):
    """Consumer groups: redelivery and dead letters."""

    max_deliveries: int = Field(
        default=5, ge=1, le=1000, description="Deliveries of an entry before it becomes a dead letter."
    )
    claim_idle_ms: int = Field(
        default=60_000,
        ge=100,
        le=24 * HOUR_MS,
        description="Milliseconds without an ack after which a delivery goes to another consumer.",
    )
    dead_letter_max_length: int = Field(
        default=10_000, ge=1, le=10**9, description="Dead letters kept for a group, approximate."
    )


class TailSettings(Section):
    """Live tails: many readers of a stream fed by few reads of Redis."""

    queue_bytes: int = Field(
        default=256 * KIB, ge=KIB, le=GIB, description="Bytes that may wait for one reader before it falls back."
    )
    stall_s: float = Field(
        default=30.0, ge=0.1, le=HOUR_S, description="Seconds that a reader may take nothing before it is cut off."
    )
    streams_per_connection: int = Field(
        default=128, ge=1, le=4096, description="Streams that share one blocking connection to Redis."
    )
    block_ms: int = Field(default=2000, ge=10, le=60_000, description="Milliseconds that one read of Redis may block.")
    feed_idle_ms: int = Field(
        default=500, ge=0, le=HOUR_MS, description="Milliseconds that a stream without readers is still followed."
    )


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
        default=1500,
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


class LogSettings(Section):
    """What is logged, to standard error."""

    level: Annotated[Literal["debug", "info", "warning", "error"], LowerCase] = Field(
        default="info", description="Least severe level that is logged."
    )
    format: Annotated[Literal["json", "console"], LowerCase] = Field(
        default="json", description="`json` for machines, one object a line; `console` for people."
    )


class Settings(Section):
    """All settings of a sidecar."""

    socket: SocketSettings = Field(default_factory=SocketSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    redis: RedisSettings = Field(default_factory=RedisSettings)
    stream: StreamSettings = Field(default_factory=StreamSettings)
    append: AppendSettings = Field(default_factory=AppendSettings)
    groups: GroupsSettings = Field(default_factory=GroupsSettings)
    tail: TailSettings = Field(default_factory=TailSettings)
    monitor: MonitorSettings = Field(default_factory=MonitorSettings)
    limits: LimitsSettings = Field(default_factory=LimitsSettings)
    generation: GenerationSettings = Field(default_factory=GenerationSettings)
    trace: TraceSettings = Field(default_factory=TraceSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    drain_s: float = Field(
        default=10.0, ge=0, le=HOUR_S, description="Seconds that a shutdown waits for writes and readers to finish."
    )

    @model_validator(mode="after")
    def _message_fits_into_buffers(self) -> Self:
        """A message over either buffer could never be written: every try would be answered 429."""
        for buffer in ("stream_buffer_bytes", "buffer_bytes"):
            if self.socket.max_message_bytes > getattr(self.append, buffer):
                raise disagreement(
                    f"socket.max_message_bytes <= append.{buffer}", f"append.{buffer}", "socket.max_message_bytes"
                )
        return self
