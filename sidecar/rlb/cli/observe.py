"""`rlb observe`: watch all streams, as one of many observers of which one polls."""

from __future__ import annotations

from typing import Annotated

from rlb.cli.options import ConfigOption
from rlb.cli.run import raise_descriptor_limit, setting


def observe(
    config: ConfigOption = None,
    redis_url: Annotated[str | None, setting("--redis-url", "URL", "Redis to watch.")] = None,
    redis_password_file: Annotated[
        str | None, setting("--redis-password-file", "FILE", "File that holds the password.")
    ] = None,
    metrics_host: Annotated[str | None, setting("--metrics-host", "HOST", "Address for probes and scrapes.")] = None,
    metrics_port: Annotated[str | None, setting("--metrics-port", "PORT", "TCP port for them; 0 = off.")] = None,
    stream_prefix: Annotated[str | None, setting("--stream-prefix", "TEXT", "What stream keys begin with.")] = None,
    patterns: Annotated[str | None, setting("--patterns", "LIST", "Keys to watch: globs or templates.")] = None,
    log_level: Annotated[str | None, setting("--log-level", "LEVEL", "debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, setting("--log-format", "FORMAT", "json or console.")] = None,
) -> None:
    """Watch all streams and serve their metrics, until SIGTERM or Ctrl-C.

    Of many observers of one Redis, one polls; another takes over when it falls silent. No app is served, so there is
    no socket. All streams are watched, whatever RLB_MONITOR__SCOPE says; `rlb config` shows the other settings.
    """
    # As with `rlb run`: only here is all of it imported.
    import uvloop

    from rlb import observing
    from rlb.settings import load_settings
    from rlb.telemetry.logs import configure_logs

    settings = load_settings(
        config,
        {
            "redis.url": redis_url,
            "redis.password_file": redis_password_file,
            "metrics.host": metrics_host,
            "metrics.port": metrics_port,
            "stream.prefix": stream_prefix,
            "monitor.patterns": patterns,
            "monitor.scope": "all",
            "log.level": log_level,
            "log.format": log_format,
        },
    )
    configure_logs(settings.log.level, settings.log.format)
    raise_descriptor_limit()
    uvloop.run(observing.observe(settings))
