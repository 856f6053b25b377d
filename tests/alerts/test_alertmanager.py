"""The example of a configuration of Alertmanager: one incident, one call."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping

import pytest
import yaml

from dashboards.alerts import ALERT_NAMES, ALERTS
from tests.alerts.scenarios import ROOT
from tests.support.alertmanager import ALERTMANAGER, AMTOOL, MISSING, AlertmanagerServer

EXAMPLE = ROOT / "dashboards/alerts/alertmanager.yaml"
SEVERITY = {alert.name: alert.severity for alert in reversed(ALERTS)}
"""Of those that have several, the first, which is the worst."""
OF_GROUP = {"model": "m", "group": "g"}
PAGER = "pager"

pytestmark = pytest.mark.timeout(120)
needs_alertmanager = pytest.mark.skipif(ALERTMANAGER is None, reason=MISSING)


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertmanagerServer]:
    """One that runs with the example, but sends to nobody."""
    config = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    config["receivers"] = [{"name": receiver["name"]} for receiver in config["receivers"]]
    with AlertmanagerServer(tmp_path_factory.mktemp("alertmanager"), yaml.safe_dump(config)) as server:
        yield server


def heard(server: AlertmanagerServer, *alerts: Mapping[str, str]) -> set[tuple[str, str]]:
    """Alert and receiver of what is sent when these fire in a namespace of their own, which `incident` names."""
    namespace = alerts[0]["namespace"]
    server.post(alerts)
    # It takes them in one after the other, so what inhibits is known of all once it is of those behind them.
    last = of(f"after-{namespace}", "RLBRedisDown", "RLBProbeFailing", job="rlb", instance="a")
    server.post(last)

    def known(namespace: str) -> list[tuple[str, str, bool]]:
        return [
            (alert["labels"]["alertname"], alert["receivers"][0]["name"], bool(alert["status"]["inhibitedBy"]))
            for alert in server.alerts()
            if alert["labels"].get("namespace") == namespace and alert["status"]["state"] != "unprocessed"
        ]

    server.until(lambda _: any(is_inhibited for _, _, is_inhibited in known(last[0]["namespace"])))
    server.until(lambda _: len(known(namespace)) == len(alerts))
    return {(name, receiver) for name, receiver, is_inhibited in known(namespace) if not is_inhibited}


def of(namespace: str, *names: str, **labels: str) -> list[dict[str, str]]:
    return [{"alertname": name, "severity": SEVERITY[name], "namespace": namespace, **labels} for name in names]


@pytest.mark.skipif(AMTOOL is None, reason=MISSING)
def test_amtool_accepts_it() -> None:
    assert AMTOOL is not None
    ran = subprocess.run([AMTOOL, "check-config", EXAMPLE], capture_output=True, text=True, timeout=30, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_it_names_alerts_that_exist() -> None:
    text = "\n".join(line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    named = set(re.findall(r"RLB[A-Za-z]+", text)) - {"RLB"}
    assert named - {"RLBudgetBurn"} <= set(ALERT_NAMES)


@needs_alertmanager
def test_a_consumer_that_died_is_one_call(alertmanager: AlertmanagerServer) -> None:
    """It stands still, is behind, has no consumer, leaves messages pending until they are given up: one is sent."""
    names = (
        *("RLBConsumerGroupStalled", "RLBConsumerGroupLagging", "RLBConsumerGroupLagGrowing"),
        *("RLBGroupHasNoConsumers", "RLBPendingStuck", "RLBPoisonMessages"),
    )
    assert heard(alertmanager, *of("died", *names, **OF_GROUP)) == {("RLBConsumerGroupStalled", PAGER)}


@needs_alertmanager
def test_another_group_of_the_namespace_is_told_of(alertmanager: AlertmanagerServer) -> None:
    alerts = [
        *of("two", "RLBConsumerGroupStalled", **OF_GROUP),
        *of("two", "RLBConsumerGroupLagging", model="m", group="other"),
    ]
    assert heard(alertmanager, *alerts) == {
        ("RLBConsumerGroupStalled", PAGER),
        ("RLBConsumerGroupLagging", "tickets"),
    }


@needs_alertmanager
def test_a_lost_redis_is_one_call(alertmanager: AlertmanagerServer) -> None:
    alerts = [
        *of("redis", "RLBRedisDown", "RLBWriteErrorBudgetBurn", "RLBDeliveryLatencyBudgetBurn"),
        *of("redis", "RLBMessagesLost", reason="retry_exhausted"),
        *of("redis", "RLBConsumerGroupStalled", "RLBRetentionAtRisk", "RLBConsumerGroupLagging", **OF_GROUP),
        *of("redis", "RLBPollStale", "RLBProbeFailing", "RLBQueueSaturated", job="rlb", instance="a"),
        *of("redis", "RLBObserverHasNoLeader", job="rlb"),
    ]
    assert heard(alertmanager, *alerts) == {("RLBRedisDown", PAGER)}


@needs_alertmanager
def test_a_loss_is_told_beside_what_led_to_it(alertmanager: AlertmanagerServer) -> None:
    """Of the stages of a loss the last one; what was lost on the way to Redis hides nothing of a group."""
    stages = ("RLBMessagesLost", "RLBRetentionAtRisk", "RLBConsumerGroupLagGrowing", "RLBConsumerGroupLagging")
    assert heard(alertmanager, *of("lost", *stages, **OF_GROUP)) == {("RLBMessagesLost", PAGER)}
    alerts = [
        *of("dropped", "RLBMessagesLost", reason="refused"),
        *of("dropped", "RLBRetentionAtRisk", **OF_GROUP),
    ]
    assert heard(alertmanager, *alerts) == {("RLBMessagesLost", PAGER), ("RLBRetentionAtRisk", PAGER)}


@needs_alertmanager
def test_a_fast_fire_hides_the_slow_one_of_the_same_budget(alertmanager: AlertmanagerServer) -> None:
    burn = {"alertname": "RLBWriteErrorBudgetBurn", "namespace": "burn"}
    alerts = [
        {**burn, "severity": "critical", "long": "1h", "short": "5m"},
        {**burn, "severity": "warning", "long": "1d", "short": "2h"},
        {**burn, "alertname": "RLBDeliveryLatencyBudgetBurn", "severity": "warning", "long": "1d", "short": "2h"},
    ]
    assert heard(alertmanager, *alerts) == {
        ("RLBWriteErrorBudgetBurn", PAGER),
        ("RLBDeliveryLatencyBudgetBurn", "tickets"),
    }


@needs_alertmanager
def test_processes_that_do_not_start_are_one_call(alertmanager: AlertmanagerServer) -> None:
    """One that starts again and again is down in between; a ticket about a new one keeps no call back."""
    new = {"alertname": "RLBDown", "job": "rlb", "instance": "b", "case": "new", "severity": "warning"}
    # Before the calls below: one of those would explain that all targets are missing.
    assert heard(alertmanager, {**new, "namespace": "gone"}, *of("gone", "RLBTargetsMissing")) == {
        ("RLBDown", "tickets"),
        ("RLBTargetsMissing", PAGER),
    }
    place = {"job": "rlb", "instance": "a"}
    looping = [*of("loop", "RLBDown", **place, case="restarts"), *of("loop", "RLBDown", **place)]
    server_says = heard(alertmanager, *looping, {**new, "namespace": "loop"})
    assert server_says == {("RLBDown", PAGER)}


@needs_alertmanager
def test_what_is_only_worth_knowing_is_sent_to_nobody(alertmanager: AlertmanagerServer) -> None:
    assert heard(alertmanager, *of("info", "RLBCardinalityOverflow", job="rlb")) == {
        ("RLBCardinalityOverflow", "nobody")
    }
