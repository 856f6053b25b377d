"""The dashboards as files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FOLDERS = ("dashboards/generated", "helm/rlb/files/dashboards")
"""Where each dashboard is written: to be provisioned by hand, and into the chart."""


def dashboards() -> Mapping[str, dict[str, Any]]:
    """Every dashboard as plain data, by its uid."""
    # Here, as the dashboards themselves are built from what is in this package.
    from dashboards import consumer_groups, overview, quality, runbooks, sidecar, streams
    from dashboards.grafana.finish import finished

    built = [finished(module.dashboard()) for module in (overview, consumer_groups, streams, quality, sidecar)]
    return {plain["uid"]: plain for plain in [*built, runbooks.dashboard()]}


def artefacts() -> Mapping[str, str]:
    """The text of each file, by its path from the top of the repository."""
    from dashboards.grafana.finish import text

    return {f"{folder}/{uid}.json": text(plain) for uid, plain in dashboards().items() for folder in FOLDERS}
