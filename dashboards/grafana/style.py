"""How things look: units, colours by meaning, thresholds, and the text that every panel has."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dashboards.grafana.sdk import dashboard, models

# Units, by Grafana's ids.
SECONDS = "s"
COUNT = "short"
TOKENS_PER_SECOND = "count:tok/s"
MESSAGES_PER_SECOND = "count:msg/s"
GENERATIONS_PER_SECOND = "count:gen/s"
PER_SECOND = "count:/s"
BYTES = "bytes"
BYTES_PER_SECOND = "Bps"
SHARE = "percentunit"
TIME = "dateTimeFromNow"
PLAIN = "none"

# Colours, by what they mean. A series that means nothing good or bad has one of the palette, by its name.
GOOD = "green"
WARN = "orange"
BAD = "red"
CALM = "blue"
UNKNOWN = "#8e8e8e"
NEUTRAL = "text"

P50 = "light-blue"
P95 = "blue"
P99 = "purple"

QUANTILES: Mapping[str, str] = MappingProxyType({"p50": P50, "p95": P95, "p99": P99})

STATUS: Mapping[str, str] = MappingProxyType(
    {
        "ok": GOOD,
        "lagging": "yellow",
        "stalled": WARN,
        "stopped": "dark-orange",
        "rewound": "purple",
        "losing": BAD,
        "unknown": UNKNOWN,
    }
)
"""Of a group on a stream."""

QUALITY: Mapping[str, str] = MappingProxyType({"exact": GOOD, "server": CALM, "bounded": "yellow", "unknown": UNKNOWN})
"""How well a lag is known."""

FINISH: Mapping[str, str] = MappingProxyType(
    {
        "stop": GOOD,
        "length": CALM,
        "tool_calls": "purple",
        "content_filter": "yellow",
        "error": BAD,
        "abandoned": WARN,
        "other": UNKNOWN,
    }
)
"""How a generation ended."""


def about(shows: str, *, bad: str, then: str) -> str:
    """The description of a panel: what it shows, what is bad, and what to do next."""
    return f"{shows}\n\n**Bad:** {bad}\n\n**Next:** {then}"


def steps(base: str, *above: tuple[float, str]) -> dashboard.ThresholdsConfig:
    """Thresholds: the colour at first, and those from each value on."""
    found = [models.Threshold(None, base), *(models.Threshold(value, colour) for value, colour in above)]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(found)


def bad_above(bad: float, warn: float | None = None, *, base: str = GOOD) -> dashboard.ThresholdsConfig:
    """More is worse."""
    return steps(base, *([(warn, WARN)] if warn is not None else []), (bad, BAD))


def bad_below(bad: float, warn: float | None = None) -> dashboard.ThresholdsConfig:
    """Less is worse: red below `bad`, orange below `warn`."""
    return steps(BAD, (bad, WARN), (warn, GOOD)) if warn is not None else steps(BAD, (bad, GOOD))


def neutral() -> dashboard.ThresholdsConfig:
    """No value is good or bad in itself."""
    return steps(NEUTRAL)
