"""`rlb run`: the sidecar."""

from __future__ import annotations

from typing import Annotated

import typer

from rlb.cli.options import ConfigOption

DESCRIPTORS = 65_536
"""Open files to ask for; each connection of an app is one, and the usual soft limit is 1024."""

_SETTING = "Settings"


def setting(flag: str, metavar: str, text: str) -> object:
    """A flag that is passed on as it was written, so that whatever is wrong with it is told as with any setting."""
    return typer.Option(flag, metavar=metavar, help=text, rich_help_panel=_SETTING)


def run(
    config: ConfigOption = None,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Bring along a Valkey of its own, which keeps nothing on disk.")
    ] = False,
    redis_url: Annotated[str | None, setting("--redis-url", "URL", "Redis behind the bridge.")] = None,
    redis_password_file: Annotated[
        str | None, setting("--redis-password-file", "FILE", "File that holds the password.")
    ] = None,
    socket_path: Annotated[str | None, setting("--socket-path", "PATH", "Unix socket to listen on.")] = None,
    socket_mode: Annotated[str | None, setting("--socket-mode", "MODE", "File mode of the socket, octal.")] = None,
    metrics_host: Annotated[str | None, setting("--metrics-host", "HOST", "Address for probes and scrapes.")] = None,
    metrics_port: Annotated[str | None, setting("--metrics-port", "PORT", "TCP port for them; 0 = off.")] = None,
    stream_prefix: Annotated[str | None, setting("--stream-prefix", "TEXT", "What stream keys begin with.")] = None,
    stream_max_length: Annotated[
        str | None, setting("--stream-max-length", "N", "Entries kept in a stream; 0 = no limit.")
    ] = None,
    stream_retention_ms: Annotated[
        str | None, setting("--stream-retention-ms", "MS", "How long a stream outlives its last write.")
    ] = None,
    log_level: Annotated[str | None, setting("--log-level", "LEVEL", "debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, setting("--log-format", "FORMAT", "json or console.")] = None,
) -> None:
    """Run the sidecar until SIGTERM or Ctrl-C.

    Every setting also has a variable such as RLB_REDIS__URL, and a place in the file; `rlb config` shows them all.
    """
    # Apps wait for the socket: only here is all of the server imported, and nothing else.
    import uvloop

    from rlb.service import serve
    from rlb.settings import load_settings
    from rlb.telemetry.logs import configure_logs

    settings = load_settings(
        config,
        {
            "redis.url": redis_url,
            "redis.password_file": redis_password_file,
            "socket.path": socket_path,
            "socket.mode": socket_mode,
            "metrics.host": metrics_host,
            "metrics.port": metrics_port,
            "stream.prefix": stream_prefix,
            "stream.max_length": stream_max_length,
            "stream.retention_ms": stream_retention_ms,
            "log.level": log_level,
            "log.format": log_format,
        },
    )
    configure_logs(settings.log.level, settings.log.format)
    raise_descriptor_limit()
    uvloop.run(serve(settings, embedded=embedded))


def raise_descriptor_limit() -> None:
    """Have the kernel allow as many open files as it lets us ask for, within reason."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
