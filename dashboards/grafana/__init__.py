"""The dashboards as files."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

MODULES = ("overview", "consumer_groups", "streams", "quality", "sidecar", "runbooks")
"""One module for each dashboard, in the order in which they are linked."""

_FOLDERS = ("dashboards/generated", "helm/rlb/files/dashboards")


def dashboards() -> Mapping[str, dict[str, Any]]:
    """Every dashboard as plain data, by its uid."""
    from dashboards.grafana.finish import finished

    found: dict[str, dict[str, Any]] = {}
    for name in MODULES:
        if find_spec(f"dashboards.{name}") is None:
            continue
        built = import_module(f"dashboards.{name}").dashboard()
        plain = built if isinstance(built, dict) else finished(built.build() if hasattr(built, "build") else built)
        found[plain["uid"]] = plain
    return found


def artefacts() -> Mapping[str, str]:
    """The text of each file, by its path from the top of the repository."""
    from dashboards.grafana.finish import text

    return {f"{folder}/{uid}.json": text(plain) for uid, plain in dashboards().items() for folder in _FOLDERS}
