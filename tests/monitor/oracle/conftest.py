"""Monitors on the loop that the sidecar runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.loops import limited_uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": limited_uvloop}
