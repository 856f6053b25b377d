"""The links in dashboards and rules: where they lead, and which variables they hand over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_DASHBOARD = re.compile(r"/d/([\w-]+)")
_HANDED_OVER = re.compile(r"[?&]var-(\w+)=|\$\{(\w+):queryparam\}")
_LABEL = re.compile(r"__field\.labels\.(\w+)")


def urls(value: Any) -> Iterator[str]:
    """Every text under a key `url`, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "url" and isinstance(inner, str):
                yield inner
            else:
                yield from urls(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from urls(inner)


def texts(value: Any) -> Iterator[str]:
    """Every text, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def dashboard_of(url: str) -> str | None:
    """The uid of the dashboard that a link leads to."""
    found = _DASHBOARD.search(url)
    return found[1] if found else None


def handed_over(url: str) -> set[str]:
    """The variables that a link sets."""
    return {a or b for a, b in _HANDED_OVER.findall(url)}


def field_labels(url: str) -> set[str]:
    """The labels that a link takes from the series it is clicked at."""
    return set(_LABEL.findall(url))
