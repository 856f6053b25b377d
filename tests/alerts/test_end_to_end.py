"""From a metric to somebody's telephone: a real Prometheus with the rules, a real Alertmanager, and who is told.

The times of the rules are a thirtieth of what they are, see `hastened`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rlb.cli.demo.tally import FAST_GROUP, SLOW_GROUP
from rlb.client import Bridge
from tests.alerts.hastened import RUNBOOKS, write_hastened
from tests.cli.processes import Running
from tests.conftest import OwnServer
from tests.support import alertmanager, prometheus
from tests.support.alertmanager import AlertmanagerServer, Webhook
from tests.support.process import SidecarProcess
from tests.support.prometheus import PrometheusServer
from tests.support.started import free_port

pytestmark = [
    pytest.mark.skipif(prometheus.PROMETHEUS is None, reason=prometheus.MISSING),
    pytest.mark.skipif(alertmanager.ALERTMANAGER is None, reason=alertmanager.MISSING),
    pytest.mark.timeout(300),
]

TIMES = 30
"""Five minutes are ten seconds."""

PATIENCE_S = 90.0
HELPERS = 3

_PROMETHEUS = """\
global: {scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s}
rule_files: [recording.yaml, alerts.yaml]
alerting: {alertmanagers: [{static_configs: [{targets: ["127.0.0.1:%d"]}]}]}
scrape_configs:
  - job_name: rlb
    static_configs: [{targets: ["%s"], labels: {namespace: prod}}]
"""

_ALERTMANAGER = """\
route: {receiver: test, group_by: [alertname, group], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers:
  - name: test
    webhook_configs: [{url: "%s", send_resolved: true}]
"""


@contextmanager
def on_call(folder: Path, target: str, values: Mapping[str, float | str]) -> Iterator[Webhook]:
    """Whoever is told of the alerts of a target, with these thresholds."""
    write_hastened(folder, TIMES, values)
    with (
        Webhook() as webhook,
        AlertmanagerServer(folder, _ALERTMANAGER % webhook.url) as server,
        PrometheusServer(folder, config=_PROMETHEUS % (server.port, target)) as watching,
    ):
        watching.until(lambda it: it.query("rlb_build_info"))
        assert [rule for rule in watching.rules() if rule.get("lastError")] == []
        yield webhook


async def until(holds: Callable[[], object], webhook: Webhook) -> None:
    """Wait until the condition holds."""
    until_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s, webhook.alerts
        await asyncio.sleep(0.1)


async def help_out(bridge: Bridge, number: int) -> None:
    """One more consumer of the slow group, and a quick one."""
    async for delivery in bridge.subscribe(SLOW_GROUP, consumer=f"helper-{number}", max_in_flight=1000):
        await delivery.ack()


async def test_a_group_that_falls_behind_is_told_of_until_it_has_caught_up(tmp_path: Path, short_tmp: Path) -> None:
    """The demo's slow group, alone and then with help. The group that keeps up is not mentioned."""
    socket = short_tmp / "d"
    arguments = ("demo", "--json", "--chats", "6", "--socket", str(socket))
    with Running(*arguments, env={"TMPDIR": str(short_tmp)}) as demo:
        target = urlsplit(json.loads(demo.read_line())["healthUrl"]).netloc
        # What nobody reads would hold it up once the pipe is full.
        reading = threading.Thread(target=lambda: list(iter(demo.read_line, "")))
        reading.start()
        with on_call(tmp_path, target, {"lag_age_seconds": 4}) as webhook:
            name = "RLBConsumerGroupLagging"
            await until(lambda: webhook.told(name, "firing", group=SLOW_GROUP), webhook)
            alert = webhook.told(name, "firing", group=SLOW_GROUP)[0]
            assert alert["labels"]["severity"] == "warning"
            assert alert["labels"]["namespace"] == "prod"
            assert alert["annotations"]["runbook_url"] == f"{RUNBOOKS}/{name}.md"
            assert f"Group {SLOW_GROUP} on model" in alert["annotations"]["description"]
            assert f"&var-group={SLOW_GROUP}" in alert["annotations"]["dashboard_url"]

            async with Bridge(socket) as bridge:
                helpers = [asyncio.create_task(help_out(bridge, number)) for number in range(HELPERS)]
                fired = {each["fingerprint"] for each in webhook.told(name, "firing")}

                def all_are_resolved() -> bool:
                    fired.update(each["fingerprint"] for each in webhook.told(name, "firing"))
                    return fired <= {each["fingerprint"] for each in webhook.told(name, "resolved")}

                await until(all_are_resolved, webhook)
                for helper in helpers:
                    helper.cancel()
                await asyncio.gather(*helpers, return_exceptions=True)
            assert not webhook.told(name, "firing", group=FAST_GROUP)
        demo.process.send_signal(signal.SIGINT)
        demo.process.wait(PATIENCE_S)
        reading.join(PATIENCE_S)


async def test_a_redis_that_has_gone_is_told_of_until_it_is_back(
    tmp_path: Path, short_tmp: Path, own_server: OwnServer
) -> None:
    server, port = own_server(), free_port()
    variables = {"RLB_METRICS__PORT": str(port), "RLB_MONITOR__INTERVAL_SECONDS": "0.5"}
    with SidecarProcess(short_tmp / "s", server.url, **variables) as sidecar:
        sidecar.listening()
        with on_call(tmp_path, f"127.0.0.1:{port}", {}) as webhook:
            server.kill()
            await until(lambda: webhook.told("RLBRedisDown", "firing", severity="critical"), webhook)
            alert = webhook.told("RLBRedisDown", "firing")[0]
            assert alert["annotations"]["description"].startswith("One process of rlb has no connection to Redis")
            server.restart()
            await until(lambda: webhook.told("RLBRedisDown", "resolved"), webhook)
