"""Importing a part of rlb loads only what that part needs; who may import whom inside rlb is `make check`'s to say."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

SERVER_SIDE = ("hiredis", "httptools", "redis", "uvicorn", "uvloop")
TERMINAL = ("rich", "textual", "typer")
EXPORTERS = (
    *("grpc", "google.protobuf", "requests", "urllib3", "prometheus_client"),
    *("opentelemetry.exporter", "opentelemetry.proto", "opentelemetry.sdk.trace"),
)
"""Only what is switched on, and a scrape, needs them."""

MUST_NOT_LOAD = {
    "rlb": (*SERVER_SIDE, *TERMINAL, *EXPORTERS, "aiohttp", "opentelemetry"),
    "rlb.cli": (*SERVER_SIDE, *TERMINAL, *EXPORTERS, "aiohttp", "opentelemetry", "pydantic"),
    "rlb.client": (*SERVER_SIDE, *TERMINAL, *EXPORTERS, "opentelemetry"),
    "rlb.observing": (*TERMINAL, *EXPORTERS),
    "rlb.service": (*TERMINAL, *EXPORTERS),
}

METRICS = "import rlb.telemetry.otlp as it, rlb.telemetry.otlp_data"
TRACES = "import rlb.telemetry.tracing_export as it"


def loaded_by(script: str) -> set[str]:
    """The modules that a fresh Python has when it has run a script."""
    command = [sys.executable, "-c", f"{script}\nimport sys; print(*sys.modules)"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return set(ran.stdout.split())


@pytest.mark.parametrize("module", [name for name in MUST_NOT_LOAD if find_spec(name) is not None])
def test_an_import_loads_only_what_it_needs(module: str) -> None:
    """An app that imports the client carries no server, and the sidecar carries no terminal interface."""
    loaded = loaded_by(f"import {module}")
    assert module in loaded
    assert loaded.isdisjoint(MUST_NOT_LOAD[module])


@pytest.mark.parametrize("module", ["rlb.service", "rlb.observing"])
def test_nothing_of_opentelemetry_is_ours_until_it_is_switched_on(module: str) -> None:
    """redis-py loads a part of it, asked or not; no more than that is there."""
    loaded = {name for name in loaded_by(f"import {module}") if name.startswith("opentelemetry")}
    assert loaded <= loaded_by("import redis.asyncio")


@pytest.mark.parametrize("module", ["telemetry", "instruments", "polled", "poll_counts", "duty_counts", "tracing"])
def test_counting_needs_neither_exporters_nor_redis(module: str) -> None:
    """The parts of telemetry that every sidecar has stand on plain Python."""
    loaded = loaded_by(f"import rlb.telemetry.{module}")
    assert loaded.isdisjoint((*SERVER_SIDE, *TERMINAL, *EXPORTERS, "opentelemetry"))


@pytest.mark.parametrize("signal", [METRICS, TRACES], ids=["metrics", "traces"])
@pytest.mark.parametrize(("protocol", "needed"), [("grpc", "grpc"), ("http/protobuf", "requests")])
def test_an_exporter_loads_only_its_own_protocol(signal: str, protocol: str, needed: str) -> None:
    """Either of the two takes some twenty megabytes, and nobody needs both."""
    loaded = loaded_by(f"{signal}; it._exporter({protocol!r})")
    assert loaded & {"grpc", "requests", "prometheus_client"} == {needed}
