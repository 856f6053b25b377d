"""The recording rules and alerts as files."""

from __future__ import annotations

from collections.abc import Mapping

from dashboards.alerts.names import ALERT_NAMES

__all__ = ["ALERT_NAMES", "artefacts"]


def artefacts() -> Mapping[str, str]:
    """The text of each file, by its path from the top of the repository."""
    return {}
