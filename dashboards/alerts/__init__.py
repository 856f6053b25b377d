"""The recording rules and alerts as files."""

from __future__ import annotations

from collections.abc import Mapping

from dashboards.alerts.files import ALERTS, alerting_groups, completed, recording_groups, template
from dashboards.alerts.names import ALERT_NAMES
from dashboards.alerts.thresholds import THRESHOLDS

__all__ = ["ALERTS", "ALERT_NAMES", "THRESHOLDS", "artefacts"]


def artefacts() -> Mapping[str, str]:
    """The text of each file, by its path from the top of the repository."""
    templates = {"recording": template(recording_groups()), "alerts": template(alerting_groups())}
    return {
        **{f"dashboards/generated/rules/{name}.yaml": completed(text) for name, text in templates.items()},
        **{f"helm/rlb/files/rules/{name}.yaml": text for name, text in templates.items()},
    }
