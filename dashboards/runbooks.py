"""rlb / Runbooks: the pages of `dashboards/runbooks` as panels, so that they are at hand where the alert is seen.

The id of an alert's panel is its place in the list of alerts, which links to runbooks hold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashboards.alerts import ALERT_NAMES, ALERTS, THRESHOLDS
from dashboards.alerts.thresholds import text_of, used_in

FOLDER = Path(__file__).parent / "runbooks"
INDEX = "README"
"""The page with what all have in common."""

UID = "rlb-runbooks"

SECTIONS = (
    "What it means",
    "How bad it is",
    "Confirm",
    "What to do",
    "Escalate",
    "Usual causes",
    "How it ends",
)
"""What each page has, in this order."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Is something lost, or about to be?": ("RLBMessagesLost", "RLBRetentionAtRisk", "RLBRedisDown", "RLBDown"),
    "Is a consumer group behind?": (
        "RLBConsumerGroupStalled",
        "RLBConsumerGroupLagging",
        "RLBConsumerGroupLagGrowing",
        "RLBGroupHasNoConsumers",
        "RLBPendingStuck",
        "RLBPoisonMessages",
        "RLBLagUnknown",
        "RLBStreamNearCapacity",
    ),
    "Are objectives missed?": (
        "RLBWriteErrorBudgetBurn",
        "RLBDeliveryLatencyBudgetBurn",
        "RLBHighTokenInterval",
        "RLBHighTimeToFirstToken",
    ),
    "Do apps get through?": ("RLBQueueSaturated", "RLBIngestRejecting", "RLBSequenceAnomalies"),
    "Does rlb itself do its work?": (
        "RLBPollStale",
        "RLBObserverHasNoLeader",
        "RLBProbeFailing",
        "RLBTargetsMissing",
        "RLBEventLoopLag",
        "RLBCardinalityOverflow",
        "RLBTelemetryExportFailing",
        "RLBClockSkew",
    ),
}

_FACTS = re.compile(r"^<!-- facts -->\n(?:.*\n)*?(?=\n)", re.MULTILINE)
_LINK = re.compile(r"\]\((RLB\w+)\.md\)")
_INDEX_ID = 1000
"""Ids of what is no alert begin here: new alerts have room below."""

HEIGHT = 18


def page_of(name: str) -> str:
    """The text of a page, with its facts as the rules have them now."""
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    return text if name == INDEX else _FACTS.sub(f"<!-- facts -->\n{facts(name)}\n", text, count=1)


def facts(name: str) -> str:
    """When the alert fires, by which thresholds, and the dashboard that its link opens."""
    alerts = [alert for alert in ALERTS if alert.name == name]
    severities: dict[str, list[str]] = {}
    for alert in alerts:
        severities.setdefault(alert.severity, []).append(alert.for_ or "at once")
    when = "; ".join(f"**{severity}** after {' or '.join(each)}" for severity, each in severities.items())
    used = sorted(set().union(*(used_in(alert.expr) for alert in alerts)))
    thresholds = ", ".join(
        f"`{threshold.camel}` {text_of(threshold.default)}{_unit(threshold.unit)}"
        for threshold in (THRESHOLDS[each] for each in used)
    )
    told = f"{when.replace('after at once', 'at once')}."
    return f"{told}{f' Thresholds: {thresholds}.' if thresholds else ''} Dashboard: `{alerts[0].dashboard}`."


def _unit(unit: str) -> str:
    return f" {unit}" if unit.isalpha() else ""


def artefacts() -> Mapping[str, str]:
    """The pages, by their paths from the top of the repository."""
    return {f"dashboards/runbooks/{name}.md": page_of(name) for name in ALERT_NAMES}


def dashboard() -> dict[str, Any]:
    """A panel for each page, and one before them all."""
    from dashboards.grafana.assemble import Row, assemble
    from dashboards.grafana.finish import finished
    from dashboards.grafana.panels import note

    rows = [Row("", (note("How to use these pages", _content(INDEX), h=HEIGHT),))]
    for title, names in GROUPS.items():
        panels = [note(name, _content(name), w=12, h=HEIGHT) for name in names]
        if len(panels) % 2:
            assert panels[-1].grid_pos is not None
            panels[-1].grid_pos.w = 24
        rows.append(Row(title, tuple(panels)))
    built = assemble(
        UID,
        "rlb / Runbooks",
        "What each alert means, how to confirm it, what to do, and how it ends. Links of alerts lead to its panels.",
        tuple(rows),
    )
    return _with_ids(_without_choices(finished(built)))


def _content(name: str) -> str:
    """A page as a panel has it: without its title, and with links to other panels."""
    _, _, text = page_of(name).partition("\n\n")
    return _LINK.sub(lambda link: f"](/d/{UID}?viewPanel={panel_id(link[1])})", text.replace("<!-- facts -->\n", ""))


def panel_id(name: str) -> int:
    """The id of an alert's panel."""
    return ALERT_NAMES.index(name) + 1


def _without_choices(plain: dict[str, Any]) -> dict[str, Any]:
    """What was chosen goes on to the next dashboard, but there is nothing to choose for texts."""
    for variable in plain["templating"]["list"]:
        variable["hide"] = 2
    return plain


def _with_ids(plain: dict[str, Any]) -> dict[str, Any]:
    others = iter(range(_INDEX_ID, _INDEX_ID + len(plain["panels"])))
    for panel in plain["panels"]:
        title = panel.get("title", "")
        panel["id"] = panel_id(title) if title in ALERT_NAMES else next(others)
    return plain
