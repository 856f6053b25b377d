"""The table of calls, without a sidecar behind it."""

from __future__ import annotations

import asyncio
from typing import cast

from rlb.api.app import Application, socket_app
from rlb.api.health import Health
from rlb.api.routes import BodyBounds, Route
from rlb.bridge.core import Core
from rlb.telemetry.exposition import Exposition
from rlb.telemetry.registry import Registry


def _routes() -> tuple[Route, ...]:
    nowhere = cast("Core", None)  # the handlers hold it and are never called
    render = Exposition(Registry(), {}).render
    application: Application = socket_app(nowhere, Health(), BodyBounds(1, 1, 1.0, 1.0), asyncio.Event(), render)
    return application._router.routes


ROUTES = _routes()
