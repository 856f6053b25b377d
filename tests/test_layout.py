"""Importing a part of rlb loads only what that part needs; who may import whom inside rlb is `make check`'s to say."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

SERVER_SIDE = ("hiredis", "httptools", "redis", "uvicorn", "uvloop")
TERMINAL = ("rich", "textual", "typer")
EXPORTERS = ("grpc", "opentelemetry.exporter", "prometheus_client")
"""Only what is switched on, and a scrape, needs them. The OpenTelemetry SDK is loaded by redis-py, asked or not."""

MUST_NOT_LOAD = {
    "rlb": (*SERVER_SIDE, *TERMINAL, *EXPORTERS, "aiohttp", "opentelemetry"),
    "rlb.client": (*SERVER_SIDE, *TERMINAL, *EXPORTERS, "opentelemetry"),
    "rlb.service": (*TERMINAL, *EXPORTERS),
}


@pytest.mark.parametrize("module", [name for name in MUST_NOT_LOAD if find_spec(name) is not None])
def test_an_import_loads_only_what_it_needs(module: str) -> None:
    """An app that imports the client carries no server, and the sidecar carries no terminal interface."""
    script = f"import sys, {module}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30)
    loaded = set(ran.stdout.split())
    assert module in loaded
    assert loaded.isdisjoint(MUST_NOT_LOAD[module])
