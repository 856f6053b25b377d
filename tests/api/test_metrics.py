"""`GET /metrics` on the socket and on the TCP port of a running sidecar."""

from __future__ import annotations

import gzip

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from rlb.api.roles import CONSUMER_PATHS, PRODUCER_PATHS
from tests.support.http import STREAM, session, token
from tests.support.sidecar import StartSidecar
from tests.support.started import free_port
from tests.support.table import ROUTES

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


async def test_it_is_served_on_both(start_sidecar: StartSidecar) -> None:
    """The same names on the socket and on the port, and HEAD without the body."""
    port = free_port()
    sidecar = start_sidecar(metrics={"port": port})
    texts = []
    async with session(sidecar.path) as local, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as remote:
        for http in (local, remote):
            async with http.get("/metrics") as response:
                assert response.status == 200
                assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
                texts.append(await response.text())
            async with http.head("/metrics") as response:
                assert (response.status, await response.read()) == (200, b"")
    names = [{family.name for family in parse_text(text)} for text in texts]
    assert names[0] == names[1]
    assert {"rlb_build_info", "rlb_redis_up", "process_resident_memory_bytes", "target_info"} <= names[0]


async def test_the_scraper_chooses_format_and_compression(start_sidecar: StartSidecar) -> None:
    """As its headers say, and a cache between is told so."""
    async with session(start_sidecar().path, auto_decompress=False) as http:
        async with http.get("/metrics", headers={"Accept": OPENMETRICS, "Accept-Encoding": "gzip"}) as response:
            assert response.headers["Content-Type"].startswith(OPENMETRICS)
            assert response.headers["Content-Encoding"] == "gzip"
            assert response.headers["Vary"] == "accept, accept-encoding"
            assert list(parse_openmetrics(gzip.decompress(await response.read()).decode()))
        async with http.get("/metrics", headers={"Accept-Encoding": "identity"}) as response:
            assert "Content-Encoding" not in response.headers


async def test_it_needs_no_redis(start_sidecar: StartSidecar) -> None:
    """When Redis cannot be reached, that is what the metrics are asked for."""
    sidecar = start_sidecar(url="unix:///nowhere/at/all", is_redis_up=False)
    async with session(sidecar.path) as http, http.get("/metrics") as response:
        samples = {
            sample.name: sample.value for family in parse_text(await response.text()) for sample in family.samples
        }
    assert samples["rlb_redis_up"] == 0
    assert "rlb_poll_last_success_timestamp_seconds" not in samples


async def test_connections_have_roles(start_sidecar: StartSidecar) -> None:
    """Told by what was last asked on each."""
    sidecar = start_sidecar()
    async with session(sidecar.path) as producer, session(sidecar.path) as consumer, session(sidecar.path) as admin:
        async with producer.post("/v1/tokens", json=token()) as response:
            assert response.status == 201
        async with consumer.get("/v1/tail", params=STREAM | {"from": "0"}) as tail:
            assert await tail.content.readline()
            async with admin.get("/metrics") as response:
                text = await response.text()
    roles = {
        sample.labels["role"]: sample.value
        for family in parse_text(text)
        if family.name == "rlb_ingest_connections"
        for sample in family.samples
    }
    assert roles == {"producer": 1, "consumer": 1, "admin": 1}


@pytest.mark.parametrize("path", sorted(PRODUCER_PATHS | CONSUMER_PATHS))
def test_roles_are_told_by_calls_that_there_are(path: str) -> None:
    """No path of the lists is out of date."""
    assert path in {route.path for route in ROUTES}
