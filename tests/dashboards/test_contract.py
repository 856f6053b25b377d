"""What dashboards and rules ask for exists: metrics, labels, values, variables, dashboards behind links, alerts."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from dashboards.alerts import ALERT_NAMES
from dashboards.grafana.names import UNUSED
from rlb.settings.description import leaves
from rlb.telemetry.catalogue import CATALOGUE
from tests.dashboards.boards import Board, Target, boards, rules
from tests.dashboards.contract import Judged, JudgedRules, judge, judged_board
from tests.dashboards.links import dashboard_of, field_labels, handed_over, texts, urls
from tests.dashboards.vocabulary import FOREIGN, OURS

FIRST_COUNT = "a counter that begins with its first event has not risen yet: there, that it exists is the event"
KEPT_PROBLEMS: dict[tuple[str, str], str] = {
    ("RLBMessagesLost", "rlb_group_lost_total is a counter"): FIRST_COUNT,
    ("RLBMessagesLost", "rlb_write_dropped_total is a counter"): FIRST_COUNT,
    ("RLBCardinalityOverflow", "rlb_cardinality_overflow_total is a counter"): FIRST_COUNT,
    ("RLBPoisonMessages", "rlb_message_dead_lettered_total is a counter"): FIRST_COUNT,
    (
        "RLBDeliveryLatencyBudgetBurn",
        "rlb_message_age_seconds_count is a counter",
    ): "only asks whether it was there then",
    ("RLBConsumerGroupStalled", "rlb_message_acked_total is a counter"): "only asks whether it was there then",
}
"""What is let through and why, by the place of an expression and a part of the problem."""

SERIES_OF_TARGETS = {"ALERTS", "ALERTS_FOR_STATE", "target_info"}
"""Names that texts may mention besides those of metrics."""


@cache
def judged_rules() -> JudgedRules:
    return JudgedRules(rules())


@cache
def judged() -> tuple[Judged, ...]:
    """Every expression of the dashboards."""
    vocabulary = judged_rules().vocabulary
    return tuple(found for board in boards() for found in judged_board(board, vocabulary))


def by_uid() -> dict[str, Board]:
    return {board.uid: board for board in boards()}


UIDS = [board.uid for board in boards()]


def is_kept(found: tuple[str, str]) -> bool:
    return any(found[0] == at and part in found[1] for at, part in KEPT_PROBLEMS)


@pytest.mark.parametrize("uid", UIDS)
def test_a_dashboard_asks_for_what_exists(uid: str) -> None:
    found = [(one.where, problem) for one in judged() if one.where.startswith(f"{uid} /") for problem in one.problems]
    assert [problem for problem in found if not is_kept(problem)] == []


def test_rules_ask_for_what_exists() -> None:
    found = [(one.where, problem) for _, one in judged_rules().judged for problem in one.problems]
    assert [problem for problem in found if not is_kept(problem)] == []


def test_nothing_is_let_through_in_vain() -> None:
    every = [*judged(), *(one for _, one in judged_rules().judged)]
    found = [(one.where, problem) for one in every for problem in one.problems]
    for at, part in KEPT_PROBLEMS:
        assert any(where == at and part in problem for where, problem in found), (at, part)


def test_recorded_names_are_foreign_to_the_catalogue() -> None:
    """A name with colons, as Prometheus wants it, that says by which labels it is summed up."""
    for name, series in judged_rules().recorded.items():
        level, *_ = name.split(":")
        assert re.fullmatch(r"\w+:\w+:\w+", name), name
        assert set(level.split("_")) <= set(series.labels), (name, sorted(series.labels))
        assert name not in OURS
        assert name not in FOREIGN


def test_every_metric_is_on_a_dashboard() -> None:
    asked = {name for one in judged() for name in one.names}
    asked |= {name for recorded, one in judged_rules().judged if recorded.get("record") in asked for name in one.names}
    shown = {OURS[name].metric for name in asked if name in OURS}
    missing = {metric.name for metric in CATALOGUE.values() if metric not in shown}
    assert missing == set(UNUSED)


@pytest.mark.parametrize("uid", UIDS)
def test_legends_name_labels_that_are_there(uid: str) -> None:
    """`{{model}}` of a series without that label is an empty legend."""
    vocabulary = judged_rules().vocabulary
    for target in by_uid()[uid].targets:
        labels = judge(target.where, target.judged, vocabulary).result.labels or frozenset()
        for label in re.findall(r"\{\{\s*(\w+)\s*\}\}", str(target.json.get("legendFormat") or "")):
            assert label in labels, (target.where, label, sorted(labels))


@pytest.mark.parametrize("uid", UIDS)
def test_links_lead_to_dashboards_that_exist(uid: str) -> None:
    """With variables that these have, and labels that the clicked series has."""
    vocabulary = judged_rules().vocabulary
    for panel in by_uid()[uid].everything:
        labels: set[str] = set()
        for target in panel.get("targets") or []:
            text = Target(by_uid()[uid], panel, target).judged
            labels |= set(judge("", text, vocabulary).result.labels or ())
        for url in urls({key: value for key, value in panel.items() if key != "panels"}):
            assert_leads_somewhere(url, panel.get("title"))
            assert field_labels(url) <= labels, (panel.get("title"), url, sorted(labels))
    for url in urls([by_uid()[uid].json.get("links"), by_uid()[uid].json.get("annotations")]):
        assert_leads_somewhere(url, uid)


def assert_leads_somewhere(url: str, where: Any) -> None:
    to = dashboard_of(url)
    if to is None:
        return
    assert to in by_uid(), (where, url)
    for name in handed_over(url):
        assert by_uid()[to].variable(name) is not None, (where, f"{to} has no variable {name}")
    panel = re.search(r"viewPanel=(?:panel-)?(\d+)", url)
    if panel:
        assert int(panel[1]) in {found["id"] for found in by_uid()[to].everything}, (where, url)


def test_links_of_alerts_lead_somewhere() -> None:
    """And each template names labels that the alert has."""
    for rule, one in judged_rules().judged:
        if "alert" not in rule:
            continue
        labels = set(one.result.labels or ()) | set(rule["labels"])
        for text in rule["annotations"].values():
            assert set(re.findall(r"\$labels\.(\w+)", text)) <= labels, (rule["alert"], text, sorted(labels))
        for key in ("dashboard_url", "runbook_url"):
            assert dashboard_of(rule["annotations"][key]) in by_uid(), (rule["alert"], key)
            assert_leads_somewhere(rule["annotations"][key], rule["alert"])
        assert "{{" not in rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_alerts_are_those_that_are_promised() -> None:
    assert {rule["alert"] for rule in rules() if "alert" in rule} == set(ALERT_NAMES)


@pytest.mark.parametrize("uid", UIDS)
def test_texts_name_what_exists(uid: str) -> None:
    """Alerts, metrics and settings that titles and descriptions mention."""
    families = {metric.prometheus_name for metric in CATALOGUE.values()}
    variables = {leaf.variable for leaf in leaves().values()}
    for panel in by_uid()[uid].everything:
        for key in ("title", "description", "options"):
            for text in texts(panel.get(key)):
                assert set(re.findall(r"\bRLB[A-Z][a-z]\w+", text)) <= set(ALERT_NAMES), text
                named = set(re.findall(r"\b(?:rlb|gen_ai|messaging|db_client)_\w+[a-z]", text))
                assert named <= families | OURS.keys() | SERIES_OF_TARGETS, (panel.get("title"), text)
                settings = set(re.findall(r"\bRLB_[A-Z_]+[A-Z]", text))
                assert all(any(v == s or v.startswith(f"{s}_") for v in variables) for s in settings), (text, settings)
