"""The table of calls, without a sidecar behind it."""

from __future__ import annotations

import asyncio
from typing import cast

from rlb.api.app import Application, socket_app
from rlb.api.health import Health
from rlb.api.observe import SnapshotSource
from rlb.api.routes import BodyBounds, Route
from rlb.bridge.core import Core
from rlb.telemetry.exposition import Exposition
from rlb.telemetry.registry import Registry


def _routes() -> tuple[Route, ...]:
    # The handlers hold these and are never called.
    nowhere, nothing = cast("Core", None), cast("SnapshotSource", None)
    render = Exposition(Registry(), {}).render
    bounds = BodyBounds(1, 1, 1.0, 1.0)
    application: Application = socket_app(nowhere, Health(), bounds, asyncio.Event(), render, nothing)
    return application._router.routes


ROUTES = _routes()
