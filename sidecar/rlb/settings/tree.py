"""The settings of a sidecar: one typed, frozen tree in which every field states its meaning, unit and bounds.

`source` fills it, `description` derives the schema and the table of the documentation from it.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from rlb.settings.observing import GenerationSettings, LimitsSettings, MonitorSettings, TraceSettings
from rlb.settings.section import GIB, HOUR_MS, HOUR_S, KIB, MIB, YEAR_MS, Section, disagreement
from rlb.settings.values import (
    FileMode,
    HostName,
    KernelIds,
    KeyPrefix,
    LowerCase,
    OptionalPath,
    OptionalText,
    Password,
    RedisUrl,
    SocketPath,
    default_socket_path,
)


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
