"""What an alert is, and the rule that Prometheus makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dashboards.alerts.names import ALERT_NAMES

Severity = Literal["critical", "warning", "info"]
"""critical: somebody is called now. warning: a ticket for the day. info: worth knowing when looking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alerting rule. Several may have one name, as those of a budget that burn at different speeds.

    `expr`, `summary` and `description` may hold thresholds as placeholders, see `thresholds.placeholder`.
    """

    name: str
    expr: str
    for_: str
    """How long it has to hold; "" for at once."""
    severity: Severity
    summary: str
    """What is wrong, in words that are always the same: notifications are grouped by them."""
    description: str
    """What it means, with values, and the first command to run. A template of Prometheus."""
    dashboard: str
    """The uid of the dashboard to look at first."""
    variables: tuple[str, ...] = ()
    """Labels of the alert that are handed to the dashboard as its variables."""
    keep_firing_for: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in ALERT_NAMES:
            raise ValueError(f"{self.name} is not in ALERT_NAMES")

    @property
    def runbook_url(self) -> str:
        """A placeholder with the name and the panel's id, of which either a page or a panel can be linked."""
        return f"%%runbookUrl:{self.name}:{ALERT_NAMES.index(self.name) + 1}%%"

    @property
    def dashboard_url(self) -> str:
        """The dashboard, opened on what the alert is about.

        A label that is not there, as `namespace` outside Kubernetes, is left out: an empty variable matches nothing.
        """
        variables = "".join(
            f"{{{{ with $labels.{label} }}}}&var-{label}={{{{ . | urlquery }}}}{{{{ end }}}}"
            for label in self.variables
        )
        return f"%%grafanaUrl%%/d/{self.dashboard}?from=now-3h&to=now{variables}"

    def rule(self) -> dict[str, Any]:
        """The rule as Prometheus reads it, with placeholders."""
        rule: dict[str, Any] = {"alert": self.name, "expr": self.expr.strip()}
        if self.for_:
            rule["for"] = self.for_
        if self.keep_firing_for:
            rule["keep_firing_for"] = self.keep_firing_for
        return {
            **rule,
            "labels": {"severity": self.severity, **self.labels},
            "annotations": {
                "summary": self.summary,
                "description": self.description.strip(),
                "runbook_url": self.runbook_url,
                "dashboard_url": self.dashboard_url,
            },
        }
