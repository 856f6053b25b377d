"""The TCP port for probes and scrapes: on the address that is asked for, of either family."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from rlb.errors import StartError
from rlb.process import probe_listener
from rlb.settings import Settings
from tests.support.sidecar import RunningSidecar, settings_of
from tests.support.started import free_port

NOBODY = "unix:///tmp/rlb-nobody-listens-here"

needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")


def settings(host: str, port: int) -> Settings:
    return Settings.model_validate({"metrics": {"host": host, "port": port}})


@pytest.mark.parametrize(
    ("host", "reached_at"),
    [
        ("127.0.0.1", ["127.0.0.1"]),
        ("0.0.0.0", ["127.0.0.1"]),
        pytest.param("::1", ["::1"], marks=needs_ipv6),
        pytest.param("::", ["::1", "127.0.0.1"], marks=needs_ipv6),
    ],
)
def test_it_listens_where_it_is_told_to(host: str, reached_at: list[str]) -> None:
    port = free_port()
    with probe_listener(settings(host, port)) as listener:
        assert listener is not None
        for address in reached_at:
            socket.create_connection((address, port), timeout=15).close()


def test_no_port_is_no_listener() -> None:
    with probe_listener(settings("127.0.0.1", 0)) as listener:
        assert listener is None


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
def test_a_port_in_use_is_told_with_the_way_out(host: str) -> None:
    port = free_port()
    with (
        probe_listener(settings(host, port)),
        pytest.raises(StartError, match="RLB_METRICS__PORT"),
        probe_listener(settings(host, port)),
    ):
        pass


@needs_ipv6
def test_a_sidecar_answers_over_ipv6(short_tmp: Path) -> None:
    port = free_port()
    metrics = {"host": "::", "port": port}
    with (
        RunningSidecar(settings_of(short_tmp / "s", NOBODY, metrics=metrics), is_redis_up=False),
        socket.create_connection(("::1", port), timeout=15) as client,
    ):
        client.sendall(b"GET /readyz HTTP/1.1\r\nHost: rlb\r\nConnection: close\r\n\r\n")
        answer = b""
        while received := client.recv(4096):
            answer += received
    assert answer.startswith(b"HTTP/1.1 200")
