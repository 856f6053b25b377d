"""The scenarios of the alerts: files for `promtool test rules`, and what is in them.

After a change of words, `PYTHONPATH=. python tests/alerts/scenarios.py` writes into them what the alerts say now
(`exp_annotations`): read the difference before you commit it.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.promtool import promtool

ROOT = Path(__file__).parent.parent.parent
FILES = sorted((ROOT / "dashboards/alerts/tests").glob("*.yaml"))

Labels = frozenset[tuple[str, str]]
KEYS = ("summary", "description", "runbook_url", "dashboard_url")

_UNITS = {"h": 3600, "m": 60, "s": 1, "d": 86400}
_PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True)
class Look:
    """One look at an alert in a scenario, and what is expected to fire then."""

    file: Path
    scenario: str
    alert: str
    at_s: int
    expected: tuple[dict[str, Any], ...]


def looks() -> Iterator[Look]:
    """All looks at alerts, in the order of the files."""
    for file in FILES:
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            for look in test.get("alert_rule_test", ()):
                expected = tuple(look.get("exp_alerts") or ())
                yield Look(file, test["name"], look["alertname"], seconds(look["eval_time"]), expected)


def seconds(duration: str) -> int:
    """A duration of Prometheus in seconds."""
    return sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([smhd])", duration))


def run(file: Path) -> subprocess.CompletedProcess[str]:
    """Run the scenarios of a file."""
    return promtool("test", "rules", file)


def _pairs(text: str) -> dict[str, str]:
    return {name: json.loads(value) for name, value in _PAIR.findall(text)}


def _said(output: str) -> dict[tuple[str, str, int, Labels], dict[str, str]]:
    """What alerts said where that was not expected: by scenario, alert, time and labels."""
    said: dict[tuple[str, str, int, Labels], dict[str, str]] = {}
    scenario = alert = labels = ""
    at_s, is_got = 0, False
    for line in output.splitlines():
        text = line.strip()
        if text.startswith("name: "):
            scenario = text.removeprefix("name: ").removesuffix(",")
        elif found := re.match(r"alertname: (\w+), time: (\w+)", text):
            alert, at_s, is_got = found[1], seconds(found[2]), False
        elif text.startswith("got:["):
            is_got = True
        elif text.startswith("Labels:"):
            labels = text
        elif text.startswith("Annotations:") and is_got:
            pairs = _pairs(labels)
            pairs.pop("alertname")
            said[scenario, alert, at_s, frozenset(pairs.items())] = _pairs(text)
    return said


def _write(file: Path) -> None:
    said = _said(run(file).stderr)
    new = [
        said.get(
            (look.scenario, look.alert, look.at_s, frozenset(each["exp_labels"].items())), each.get("exp_annotations")
        )
        for look in looks()
        if look.file == file
        for each in look.expected
    ]
    annotations = iter(new)
    lines: list[str] = []
    inside: int | None = None
    for line in file.read_text(encoding="utf-8").splitlines():
        indent = len(line) - len(line.lstrip())
        if inside is not None and line.strip() and indent > inside:
            continue
        inside = None
        lines.append(line)
        if line.strip() == "exp_annotations:":
            inside = indent
            texts = next(annotations) or {}
            ordered = {key: texts[key] for key in KEYS if key in texts}
            block = yaml.safe_dump(ordered, sort_keys=False, width=110, allow_unicode=True) if ordered else ""
            lines += [" " * (indent + 2) + each for each in block.splitlines()]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for each_file in FILES:
        _write(each_file)
