"""Servers of the API tests, on both kinds of event loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.api.served import LOOPS, Serve, Served, mirror


@pytest.fixture(params=LOOPS)
def serve(request: pytest.FixtureRequest, short_tmp: Path) -> Serve:
    """A factory of servers on a socket that every user may reach, once on uvloop and once on asyncio's own loop."""
    short_tmp.chmod(0o755)

    def make(app: Any = mirror, **options: Any) -> Served:
        return Served(app, short_tmp / "s", loop=request.param, **options)

    return make
