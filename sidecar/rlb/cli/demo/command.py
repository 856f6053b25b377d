"""`rlb demo`: an embedded server, a sidecar and traffic in one process, until Ctrl-C."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rlb.cli.options import JsonOption

if TYPE_CHECKING:
    from rlb.cli.demo.places import Place
    from rlb.settings import Settings

DEFAULTS = {
    # Its streams live for ten minutes, so that it can be left running.
    "stream.retention_ms": 600_000,
    "drain_s": 2.0,
    "log.level": "warning",
    "log.format": "console",
}
"""What the demo has otherwise than a sidecar, unless a variable says it."""

FOREIGN = ("RLB_CONFIG", "RLB_REDIS__")
"""What the variables begin with that are not for a demo: its server is its own, and a file is a real sidecar's."""


def demo(
    duration_s: Annotated[
        float, typer.Option("--duration", metavar="S", min=0, help="Seconds to run; 0 = until Ctrl-C.")
    ] = 0.0,
    chats: Annotated[
        int, typer.Option("--chats", metavar="N", min=1, max=200, help="Chats at once, one generation each.")
    ] = 6,
    socket: Annotated[
        Path | None,
        typer.Option("--socket", metavar="PATH", help="Socket to listen on; by default the usual one, if it is free."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Watch tokens flow: a Valkey of its own, a sidecar, chats, a group that keeps up and one that falls behind.

    Needs no Redis. RLB_* variables apply, apart from RLB_REDIS__* and RLB_CONFIG.
    """
    import uvloop

    from rlb.cli.demo.places import places, program
    from rlb.cli.demo.report import Places
    from rlb.cli.demo.show import JsonShow, TerminalShow, TextShow
    from rlb.cli.demo.stage import run
    from rlb.settings import client_socket_path
    from rlb.telemetry.logs import configure_logs

    usual = _settings()
    configure_logs(usual.log.level, usual.log.format)
    with places(socket, usual.socket.path, usual.metrics) as place:
        settings = _settings(place)
        metrics = settings.metrics
        named = Places(
            program=program(),
            socket=str(place.socket),
            # What another terminal finds by itself: a variable of this one may not be there.
            is_default_socket=place.socket == client_socket_path(_environment("RLB_")),
            health_url=f"http://{metrics.host}:{metrics.port}/healthz" if metrics.port else None,
            remarks=place.remarks,
        )
        show = JsonShow() if as_json else TerminalShow(settings.log) if sys.stdout.isatty() else TextShow()
        uvloop.run(run(settings, named, show, chats=chats, duration_s=duration_s))


def _environment(*without: str) -> dict[str, str]:
    """The environment but for variables that begin so."""
    return {name: value for name, value in os.environ.items() if not name.startswith(without)}


def _settings(place: Place | None = None) -> Settings:
    """The settings that apply to a demo, with its places once they are known.

    Raises:
        SettingsError: a variable is unknown or bad.
    """
    from rlb.settings import load_settings

    flags = {} if place is None else {"socket.path": str(place.socket), "metrics.port": place.port}
    return load_settings(flags=flags, environ=_environment(*FOREIGN), defaults=DEFAULTS)
