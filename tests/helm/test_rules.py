"""The rules in the chart: with the defaults those of Prometheus without Helm, and otherwise what the values say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.alerts import ALERT_NAMES
from dashboards.alerts.thresholds import THRESHOLDS
from tests.support.helm import CHART, HELM_4, REPOSITORY, Engine, needs_helm_4
from tests.support.promtool import needs_promtool, promtool

FILES = ("alerts", "recording")
REDIS = {"url": "redis://redis"}


def rules_of(engine: Engine, **values: Any) -> dict[str, dict[str, Any]]:
    """The specification of each PrometheusRule by the name of its file."""
    objects = engine.render(CHART, {"redis": REDIS, "prometheusRule": {"enabled": True, **values}})
    return {
        item["metadata"]["name"].removeprefix("test-rlb-"): item["spec"]
        for item in objects
        if item["kind"] == "PrometheusRule"
    }


def alerts_of(engine: Engine, **values: Any) -> list[dict[str, Any]]:
    """All alerting rules."""
    return [rule for group in rules_of(engine, **values)["alerts"]["groups"] for rule in group["rules"]]


def test_with_the_defaults_they_are_those_without_helm(engine: Engine) -> None:
    found = rules_of(engine)
    assert set(found) == set(FILES)
    for name in FILES:
        assert found[name] == yaml.safe_load((REPOSITORY / f"dashboards/generated/rules/{name}.yaml").read_text())


def test_the_values_have_the_defaults_of_the_thresholds() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["prometheusRule"]["thresholds"] == {item.camel: item.default for item in THRESHOLDS.values()}


def test_a_threshold_is_where_it_was(engine: Engine) -> None:
    """Everywhere that the default stood, and nowhere else; big and small numbers stay as they are written."""
    text = yaml.safe_dump(rules_of(engine, thresholds={"lagAgeSeconds": 7654321, "writeErrorBudget": 0.00025}))
    source = "".join((CHART / f"files/rules/{name}.yaml").read_text() for name in FILES)
    assert text.count("7654321") == source.count("%%lagAgeSeconds%%") > 0
    assert text.count("0.00025") == source.count("%%writeErrorBudget%%") > 0


def test_no_placeholder_is_left(engine: Engine) -> None:
    assert "%%" not in yaml.safe_dump(rules_of(engine))


def test_an_alert_can_be_left_out(engine: Engine) -> None:
    """With all its rules, of which a budget has several; a group without rules goes, too."""
    left_out = ["RLBWriteErrorBudgetBurn", "RLBDown"]
    assert {rule["alert"] for rule in alerts_of(engine, disabled=left_out)} == set(ALERT_NAMES) - set(left_out)
    assert rules_of(engine, disabled=list(ALERT_NAMES))["alerts"]["groups"] == []
    assert rules_of(engine, disabled=list(ALERT_NAMES))["recording"]["groups"]


def test_every_alert_gets_the_labels(engine: Engine) -> None:
    for rule, before in zip(alerts_of(engine, alertLabels={"team": "llm"}), alerts_of(engine), strict=True):
        assert rule["labels"] == {**before["labels"], "team": "llm"}


def test_links_lead_to_grafana_and_to_the_runbooks_there(engine: Engine) -> None:
    for rule in alerts_of(engine, grafanaUrl="https://grafana.example.com/"):
        number = ALERT_NAMES.index(rule["alert"]) + 1
        links = rule["annotations"]
        assert links["runbook_url"] == f"https://grafana.example.com/d/rlb-runbooks?viewPanel={number}"
        assert links["dashboard_url"].startswith("https://grafana.example.com/d/rlb-")


def test_runbooks_may_be_elsewhere(engine: Engine) -> None:
    for rule in alerts_of(engine, runbookUrlPrefix="https://example.com/a$1b/"):
        assert rule["annotations"]["runbook_url"] == f"https://example.com/a$1b/{rule['alert']}.md"
        assert rule["annotations"]["dashboard_url"].startswith("/d/rlb-")


@needs_helm_4
@needs_promtool
@pytest.mark.parametrize("name", FILES)
def test_prometheus_takes_them_with_other_thresholds(tmp_path: Path, name: str) -> None:
    """Every one of them at once other than its default."""
    others = {item.camel: "chat-.+" if isinstance(item.default, str) else 0.1 for item in THRESHOLDS.values()}
    file = tmp_path / f"{name}.yaml"
    file.write_text(yaml.safe_dump(rules_of(HELM_4, thresholds=others)[name]))
    ran = promtool("check", "rules", "--lint=all", "--lint-fatal", file)
    assert ran.returncode == 0, ran.stdout + ran.stderr
