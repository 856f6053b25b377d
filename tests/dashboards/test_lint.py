"""The committed dashboards keep the rules of the dashboard-linter, apart from what is listed here with a reason."""

from __future__ import annotations

import pytest

from tests.dashboards.boards import boards
from tests.dashboards.lint_rules import RULES

OF_RULES = "alerts are of a namespace, a model, a group: few of one instance"
OF_VLLM = "vLLM is another target, with a job and instances of its own"
EXCLUDED: dict[tuple[str, str, str], str] = {
    ("target-job-rule", "rlb-overview / Firing alerts", "ALERTS"): OF_RULES,
    ("target-instance-rule", "rlb-overview / Firing alerts", "ALERTS"): OF_RULES,
    ("target-job-rule", "rlb-quality", "vllm:"): OF_VLLM,
    ("target-instance-rule", "rlb-quality", "vllm:"): OF_VLLM,
}
"""What is let through and why: a rule, a place (a dashboard, or a panel of one) and how the finding begins."""


def is_excluded(finding: tuple[str, str, str], by: tuple[str, str, str]) -> bool:
    rule, place, what = by
    return finding[0] == rule and f"{finding[1]} /".startswith(f"{place} /") and finding[2].startswith(what)


def findings(rule: str) -> list[tuple[str, str, str]]:
    return [(rule, place, what) for board in boards() for place, what in RULES[rule](board)]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_kept(rule: str) -> None:
    assert [found for found in findings(rule) if not any(is_excluded(found, by) for by in EXCLUDED)] == []


def test_nothing_is_excluded_in_vain() -> None:
    for by in EXCLUDED:
        assert any(is_excluded(found, by) for found in findings(by[0])), by


def test_there_is_something_to_judge() -> None:
    assert sum(1 for board in boards() for _ in board.targets) > 100
