"""The rules in a hurry: all times divided, so that a test sees in a minute what takes half an hour."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from dashboards.alerts.files import alerting_groups, completed, recording_groups, template
from tests.alerts.scenarios import seconds

RUNBOOKS = "https://runbooks.example"

_RANGE = re.compile(r"\[(\w+)\]")
_OFFSET = re.compile(r"offset (\w+)")


def hastened(text: str, times: int) -> str:
    """A file of rules with each range, offset, `for` and `keep_firing_for` divided by `times`.

    Thresholds, numbers in expressions among them, stay as they are, and so do the names of recorded series.
    """

    def shorter(duration: str) -> str:
        return f"{1000 * seconds(duration) // times}ms"

    rules = yaml.safe_load(text)
    for group in rules["groups"]:
        for rule in group["rules"]:
            expr = _RANGE.sub(lambda found: f"[{shorter(found[1])}]", rule["expr"])
            rule["expr"] = _OFFSET.sub(lambda found: f"offset {shorter(found[1])}", expr)
            for key in rule.keys() & {"for", "keep_firing_for"}:
                rule[key] = shorter(rule[key])
    return yaml.safe_dump(rules, sort_keys=False)


def write_hastened(folder: Path, times: int, values: Mapping[str, float | str]) -> None:
    """Write all rules into a folder, hastened, with these thresholds and with links to runbooks."""
    for name, groups in (("recording", recording_groups()), ("alerts", alerting_groups())):
        text = completed(template(groups), values, runbook_prefix=RUNBOOKS)
        (folder / f"{name}.yaml").write_text(hastened(text, times), encoding="utf-8")
