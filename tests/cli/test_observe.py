"""`rlb observe`: one of many polls and tells, the others stand by, and take over."""

from __future__ import annotations

import re
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from rlb.settings import MonitorSettings
from rlb.telemetry.purse import possible_metrics
from tests.cli.processes import PATIENCE_S, Running, rlb
from tests.servers.process import RedisServer
from tests.support.started import free_port

# The lease outlasts a machine that stands still for a moment: nobody else may take it over then.
ENV = {"RLB_MONITOR__INTERVAL_SECONDS": "0.1", "RLB_MONITOR__LEASE_SECONDS": "4", "RLB_MONITOR__SWEEP_SECONDS": "0.2"}


class Observer(Running):
    """A running observer and its port."""

    def __init__(self, url: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.port = free_port()
        super().__init__(
            "observe", "--redis-url", url, "--metrics-port", str(self.port), *arguments, env={**ENV, **(env or {})}
        )

    def get(self, path: str) -> str:
        """The body at a path, of an error too; empty while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
                body: bytes = response.read()
        except urllib.error.HTTPError as error:
            with error:
                body = error.read()
        except OSError:
            return ""
        return body.decode()

    def metrics(self) -> str:
        return self.get("/metrics")

    @property
    def leads(self) -> bool | None:
        found = re.search(r"^rlb_monitor_leader\{.*\} ([01])\.0$", self.metrics(), re.MULTILINE)
        return found[1] == "1" if found else None


def wait_until(condition: Callable[[], object]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def lags(observer: Observer) -> list[str]:
    return re.findall(r"^rlb_group_lag\{(.*)\} 3\.0$", observer.metrics(), re.MULTILINE)


@pytest.fixture
def stream(valkey: RedisServer) -> str:
    """A stream as rlb names it, with a group that lags by three."""
    key = "llm:stream:s-1:model-1"
    for number in range(3):
        valkey.command("XADD", key, "*", "data", number)
    valkey.command("XGROUP", "CREATE", key, "readers", "0")
    return key


def test_of_two_one_polls_and_another_takes_over(valkey: RedisServer, stream: str) -> None:
    with ExitStack() as at_exit:
        first = at_exit.enter_context(Observer(valkey.url))
        wait_until(lambda: first.leads and lags(first))
        assert lags(first) == ['group="readers",model="model-1"']
        second = at_exit.enter_context(Observer(valkey.url))
        wait_until(lambda: second.leads is False)
        assert "rlb_group_" not in second.metrics()
        assert "rlb_stream_" not in second.metrics()
        assert '"stands by: another observer polls"' in second.get("/healthz")
        first.process.kill()
        wait_until(lambda: second.leads)
        wait_until(lambda: lags(second))


def test_one_that_is_told_to_stop_leaves_its_place_at_once(valkey: RedisServer, stream: str) -> None:
    with ExitStack() as at_exit:
        first = at_exit.enter_context(Observer(valkey.url, env={"RLB_MONITOR__LEASE_SECONDS": "600"}))
        wait_until(lambda: first.leads)
        ended = first.end(signal.SIGTERM)
        assert ended.code == 0
        assert valkey.command("EXISTS", "llm:observer") == 0
        assert "service.stopped" in ended.err


def test_streams_of_others_by_their_pattern(valkey: RedisServer) -> None:
    valkey.command("XADD", "orders:north", "*", "f", "v")
    valkey.command("XGROUP", "CREATE", "orders:north", "billing", "$")
    with Observer(valkey.url, "--patterns", "orders:{region}") as observer:
        wait_until(lambda: 'rlb_group_lag{group="billing",model="north"} 0.0' in observer.metrics())


def test_more_models_and_groups_than_there_is_room_for(valkey: RedisServer) -> None:
    """The series stay within the limit, what has none of its own is in `other`, and nothing apps would do is there."""
    models, groups = 60, 4
    for model in range(models):
        valkey.command("XADD", f"llm:stream:s-1:model-{model}", "*", "data", "x")
        for group in range(groups):
            valkey.command("XGROUP", "CREATE", f"llm:stream:s-1:model-{model}", f"group-{group}", "0")
    with Observer(valkey.url, env={"RLB_LIMITS__SERIES": "800"}) as observer:

        def lag() -> list[float]:
            return [
                float(found) for found in re.findall(r"^rlb_group_lag\{.*\} (.*)$", observer.metrics(), re.MULTILINE)
            ]

        wait_until(lambda: sum(lag()) == models * groups)
        assert 10 < len(lag()) < 40
        series = [line for line in observer.metrics().splitlines() if line.startswith(("rlb_", "db_", "messaging_"))]
        assert len(series) <= 800
        can_be = {metric.prometheus_family for metric in possible_metrics(MonitorSettings(), serves_apps=False)}
        names = re.findall(r"^# TYPE ((?:rlb|db|messaging|gen_ai)_\w+?)(?:_total)? ", observer.metrics(), re.MULTILINE)
        assert len(names) > 20
        assert set(names) <= can_be


def test_it_is_well_without_a_socket_and_ready(valkey: RedisServer) -> None:
    with Observer(valkey.url, env={"RLB_SOCKET__PATH": "/nonexistent/folder/s"}) as observer:
        wait_until(lambda: '"status":"ok"' in observer.get("/healthz"))
        assert observer.get("/readyz").strip() == '{"status":"ok"}'
        assert "rlb_ingest_queue" not in observer.metrics()


def test_without_a_redis_it_says_so(valkey: RedisServer) -> None:
    ran = rlb("observe", "--metrics-port", "0")
    assert ran.code == 78
    assert "RLB_REDIS__URL is not set" in ran.err


def test_a_port_that_is_taken_is_told(valkey: RedisServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = rlb("observe", "--redis-url", valkey.url, "--metrics-port", str(taken.getsockname()[1]))
    assert ran.code == 1
    assert "cannot listen on 127.0.0.1" in ran.err


def test_what_is_done_besides_polling_is_counted(valkey: RedisServer, stream: str) -> None:
    valkey.command("XGROUP", "CREATECONSUMER", stream, "readers", "gone")
    env = {"RLB_MONITOR__REMOVE_CONSUMERS_AFTER_SECONDS": "1", "RLB_MONITOR__PROBE_SECONDS": "0.1"}
    with Observer(valkey.url, env=env) as observer:
        wait_until(lambda: 'rlb_consumers_removed_total{group="readers"} 1.0' in observer.metrics())
        wait_until(lambda: re.search(r"^rlb_probe_duration_seconds_count [1-9]", observer.metrics(), re.MULTILINE))
        assert 'rlb_probe_attempts_total{outcome="failed"} 0.0' in observer.metrics()
        assert observer.end(signal.SIGTERM).code == 0
    assert valkey.command("XINFO", "CONSUMERS", stream, "readers") == []
    assert valkey.command("KEYS", "llm:probe-*") == []
