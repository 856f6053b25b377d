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

RETENTION_MS = 600_000
"""Streams of the demo live for ten minutes, so that it can be left running."""
DRAIN_S = 2.0


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

    Needs no Redis. Your settings do not apply, apart from RLB_SOCKET__PATH.
    """
    import uvloop

    from rlb.cli.demo.places import places, program
    from rlb.cli.demo.report import Places
    from rlb.cli.demo.show import LOG_LEVEL, JsonShow, TerminalShow, TextShow
    from rlb.cli.demo.stage import run
    from rlb.settings import client_socket_path, load_settings
    from rlb.telemetry.logs import configure_logs

    configure_logs(LOG_LEVEL, "console")
    usual = load_settings(environ=_environment("RLB_SOCKET__PATH"))
    with places(socket, usual.socket.path, usual.metrics.port) as place:
        settings = _settings(place)
        named = Places(
            program=program(),
            socket=str(place.socket),
            # What another terminal finds by itself: a variable of this one may not be there.
            is_default_socket=place.socket == client_socket_path(_environment()),
            health_url=f"http://{settings.metrics.host}:{settings.metrics.port}/healthz",
            remarks=place.remarks,
        )
        show = JsonShow() if as_json else TerminalShow() if sys.stdout.isatty() else TextShow()
        uvloop.run(run(settings, named, show, chats=chats, duration_s=duration_s))


def _environment(*kept: str) -> dict[str, str]:
    """The environment without the settings of a real sidecar, but for those that are `kept`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RLB_") or name in kept}


def _settings(place: Place) -> Settings:
    from rlb.settings import load_settings

    return load_settings(
        flags={
            "socket.path": str(place.socket),
            "metrics.port": place.port,
            "stream.retention_ms": RETENTION_MS,
            "drain_s": DRAIN_S,
        },
        environ={},
    )
