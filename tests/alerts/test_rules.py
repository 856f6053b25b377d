"""The rules: as Prometheus' own tools judge them, on data that is bad, nearly bad and good."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from dashboards.alerts import ALERT_NAMES, ALERTS, THRESHOLDS, artefacts
from dashboards.alerts.alert import Alert
from dashboards.alerts.files import alerting_groups, completed, recording_groups, template
from dashboards.alerts.promql import increase_since_birth
from dashboards.alerts.thresholds import filled, used_in
from rlb.telemetry.catalogue import CATALOGUE
from tests.alerts.hastened import hastened
from tests.alerts.scenarios import FILES, Look, looks, run
from tests.support.promtool import needs_promtool, promtool

pytestmark = pytest.mark.timeout(180)

LOOKS = tuple(looks())

WITHOUT_VALUE = {"RLBDown", "RLBTargetsMissing", "RLBObserverHasNoLeader"}
"""Something is not there: a 0 or a 1 would tell nobody anything. But how often something began again does."""


def looks_at(alert: str) -> list[Look]:
    return [look for look in LOOKS if look.alert == alert]


def checked(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """What promtool says of a file of rules."""
    (folder / "rules.yaml").write_text(text, encoding="utf-8")
    return promtool("check", "rules", "--lint=all", "--lint-fatal", folder / "rules.yaml")


@needs_promtool
def test_the_rules_are_good_rules(tmp_path: Path) -> None:
    """As they are, with other numbers and addresses, and in a hurry."""
    for groups in (recording_groups(), alerting_groups()):
        text = template(groups)
        other = {name: "a|b.+" if isinstance(it.default, str) else 7 for name, it in THRESHOLDS.items()}
        changed = completed(text, other, grafana_url="https://grafana.example", runbook_prefix="https://books.example")
        for variant in (completed(text), changed, hastened(completed(text), 30)):
            assert "%%" not in variant
            ran = checked(tmp_path, variant)
            assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_the_scenarios_go_as_they_say(file: Path) -> None:
    ran = run(file)
    assert ran.returncode == 0, ran.stderr


@needs_promtool
def test_a_scenario_can_fail(tmp_path: Path) -> None:
    """It does look: with half of the rules, scenarios that should fire do not."""
    text = FILES[0].read_text(encoding="utf-8").replace("../../generated/rules/alerts.yaml", "none.yaml")
    (tmp_path / "scenario.yaml").write_text(text.replace("../../", f"{FILES[0].parent.parent.parent}/"))
    (tmp_path / "none.yaml").write_text("groups: []\n")
    assert run(tmp_path / "scenario.yaml").returncode == 1


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_each_alert_fires_in_one_scenario_and_is_silent_in_another(name: str) -> None:
    """And each says in its scenario's name what it is about."""
    found = looks_at(name)
    fires = [look for look in found if look.expected]
    silent = [look for look in found if not look.expected]
    assert fires
    assert any(look.scenario.startswith(f"{name} fires") for look in fires)
    assert any(look.scenario.startswith(f"{name} is silent") for look in silent)
    for look in fires:
        for alert in look.expected:
            assert list(alert["exp_annotations"]) == ["summary", "description", "runbook_url", "dashboard_url"]


@pytest.mark.parametrize("speed", [{"long": it.labels["long"]} for it in ALERTS if "long" in it.labels], ids=str)
def test_each_speed_of_a_budget_fires_in_a_scenario(speed: dict[str, str]) -> None:
    assert any(
        speed.items() <= alert["exp_labels"].items()
        for look in looks_at("RLBWriteErrorBudgetBurn")
        for alert in look.expected
    )


def test_what_is_said_is_complete() -> None:
    """Texts with every value filled in: no template, no label that is not there, no number that is none."""
    for look in LOOKS:
        for alert in look.expected:
            for text in alert["exp_annotations"].values():
                for leftover in ("{{", "%%", "<no value>", "NaN", "Inf", "  "):
                    assert leftover not in text, (look.scenario, text)


def test_the_names_are_those_of_the_alerts_in_order() -> None:
    assert tuple(dict.fromkeys(alert.name for alert in ALERTS)) == ALERT_NAMES


@pytest.mark.parametrize("alert", ALERTS, ids=lambda it: f"{it.name}-{it.labels.get('long', '')}")
def test_an_alert_says_what_is_wrong_and_what_to_do(alert: Alert) -> None:
    """The summary has no variable part, as notifications are grouped by it; the description names a first step."""
    assert "{{" not in alert.summary
    assert "%%" not in alert.summary
    assert alert.summary.endswith(".")
    assert "First: " in alert.description
    assert ("$value" in alert.description) == (
        alert.name not in WITHOUT_VALUE or alert.labels.get("case") == "restarts"
    )
    assert alert.rule()["labels"]["severity"] in {"critical", "warning", "info"}
    assert alert.runbook_url == f"%%runbookUrl:{alert.name}:{ALERT_NAMES.index(alert.name) + 1}%%"


def test_every_threshold_is_used_in_an_expression() -> None:
    """One that is only talked about would change nothing."""
    groups = (*recording_groups(), *alerting_groups())
    assert {name for group in groups for rule in group["rules"] for name in used_in(rule["expr"])} == set(THRESHOLDS)


@pytest.mark.parametrize(
    ("threshold", "metric"),
    [
        ("delivery_seconds", "rlb.message.age"),
        ("token_interval_seconds", "rlb.token.interval"),
        ("time_to_first_token_seconds", "gen_ai.server.time_to_first_token"),
        ("event_loop_lag_seconds", "rlb.eventloop.lag"),
    ],
)
def test_a_threshold_is_one_that_the_histogram_can_tell(threshold: str, metric: str) -> None:
    """A quantile above the highest bucket is told as that bucket's bound; and a delivery is counted by bounds only."""
    default, buckets = THRESHOLDS[threshold].default, CATALOGUE[metric].buckets
    assert isinstance(default, int | float)
    assert default in buckets
    assert default < buckets[-1]


def test_the_bounds_of_deliveries_are_told() -> None:
    """Those among which somebody has to choose are all there, and no others."""
    meaning = THRESHOLDS["delivery_seconds"].meaning
    bounds = [f"{bound:g}" for bound in CATALOGUE["rlb.message.age"].buckets]
    assert f"One of {', '.join(bounds[:-1])} and {bounds[-1]}," in meaning


def test_groups_that_read_in_batches_are_left_out_of_what_is_about_time() -> None:
    """Of being late, with acknowledgements too (`case="mute"`), not of reading nothing."""
    text = completed(template((*recording_groups(), *alerting_groups())), {"batch_groups": "archive|nightly-.+"})
    rules = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    named = [rule for rule in rules if "nightly" in rule["expr"]]
    assert {rule.get("alert") or rule["record"].rpartition(":")[0] for rule in named} == {
        "RLBConsumerGroupLagging",
        "RLBConsumerGroupStalled",
        "namespace_group:rlb_delivery_slow",
    }
    assert [rule["labels"].get("case") for rule in named if rule.get("alert") == "RLBConsumerGroupStalled"] == ["mute"]


def test_numbers_are_written_as_by_hand() -> None:
    text = "a > %%lagAgeSeconds%% or b > %%writeErrorBudget%%"
    assert filled(text) == "a > 10 or b > 0.001"
    assert filled(text, {"lag_age_seconds": 1e6, "write_error_budget": 0.5}) == "a > 1000000 or b > 0.5"


def test_a_threshold_or_metric_that_is_not_there_does_not_build(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LookupError, match="noSuchThing"):
        used_in("a > %%noSuchThing%%")
    monkeypatch.setattr("dashboards.alerts.files.RECORDINGS", {"rlb": [("a:b:c", "sum(rlb_group_lagg)")]})
    with pytest.raises(LookupError, match="rlb_group_lagg"):
        recording_groups()


def test_an_alert_that_is_not_in_the_list_does_not_build() -> None:
    with pytest.raises(ValueError, match="RLBNew"):
        Alert(name="RLBNew", expr="up", for_="", severity="info", summary="", description="", dashboard="rlb-overview")


def test_births_are_looked_for_where_increase_looks() -> None:
    """One window in all of its parts: else a first value would count twice, or not at all.

    But that a process is new is held for a minute longer: it is not seen at once, and neither half would hold then.
    """
    expr = increase_since_birth("x_total", seen_by="up")
    assert expr.count("15m") == 3
    assert f"time() - {15 * 60 + 60})" in expr


def test_only_names_of_recorded_series_say_the_window() -> None:
    """The chart and Prometheus get the same rules: placeholders are all that differs."""
    files = artefacts()
    for name in ("recording", "alerts"):
        chart = files[f"helm/rlb/files/rules/{name}.yaml"]
        plain = files[f"dashboards/generated/rules/{name}.yaml"]
        assert completed(chart) == plain
        assert yaml.safe_load(plain)["groups"]


def test_in_a_hurry_only_times_change() -> None:
    rules = {
        "groups": [
            {
                "name": "g",
                "rules": [
                    {"alert": "A", "expr": "a:rate5m > 300 and b[1h30m] offset 15m", "for": "5m", "labels": {"l": "5m"}}
                ],
            }
        ]
    }
    (rule,) = yaml.safe_load(hastened(yaml.safe_dump(rules), 30))["groups"][0]["rules"]
    assert rule == {
        "alert": "A",
        "expr": "a:rate5m > 300 and b[180000ms] offset 30000ms",
        "for": "10000ms",
        "labels": {"l": "5m"},
    }
