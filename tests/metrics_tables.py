"""The generated part of docs/metrics.md: `make docs` writes it, a test holds the page against it."""

from __future__ import annotations

from pathlib import Path

from rlb.settings import LimitsSettings, MonitorSettings
from rlb.telemetry.catalogue import CATALOGUE, SECTIONS, Attribute, Metric, Multiplier, prometheus_label
from rlb.telemetry.purse import base, possible_metrics, prices

PAGE = Path(__file__).parent.parent / "docs" / "metrics.md"

_VALUES: dict[Multiplier, str] = {
    "model": "a model",
    "model.histogram": "its histograms",
    "group": "a group",
    "model.group": "a group on one model",
}

_SERIES_TEXT = """\
All of these metrics together never come to more than `RLB_LIMITS__SERIES` ({series:,}) series, however many models and
groups there are. A value has series of its own only if there is room for all that it can come to; if not, it is `other`
for good. Half of the room is set aside so that models, histograms, groups and their pairs each have some, the other
half is for whoever comes first. An observer has more room for names, as it counts nothing of apps."""

_BEGIN, _END = "<!-- metrics -->\n", "<!-- /metrics -->"


def with_tables(text: str) -> str:
    """The page with its generated part as it is now."""
    head, begin, rest = text.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    return f"{head}{begin}{tables()}\n{end}{tail}"


def tables() -> str:
    """One table for each section of the catalogue, then the buckets."""
    parts = []
    for title, metrics in SECTIONS.items():
        parts += [f"## {title}", ""]
        parts += [
            "| in Prometheus | in OpenTelemetry | type | unit | labels | what it says |",
            "|---|---|---|---|---|---|",
        ]
        parts += [_row(metric) for metric in metrics]
        parts.append("")
    parts += ["## Buckets", "", "| histogram | upper bounds |", "|---|---|"]
    for metric in CATALOGUE.values():
        if metric.buckets:
            parts.append(f"| `{metric.prometheus_name}` | {', '.join(f'{bound:g}' for bound in metric.buckets)} |")
    return "\n".join([*parts, *_costs()]) + "\n"


def _costs() -> list[str]:
    """What the series are spent on, by default."""
    processes = [possible_metrics(MonitorSettings(), serves_apps=serves_apps) for serves_apps in (True, False)]
    rows = [
        ("in any case, `other` included", [base(metrics) for metrics in processes]),
        *((_VALUES[multiplier], [prices(metrics)[multiplier] for metrics in processes]) for multiplier in _VALUES),
    ]
    return [
        "",
        "## Series",
        "",
        *_SERIES_TEXT.format(series=LimitsSettings().series).splitlines(),
        "",
        "| what | series in a sidecar | in an observer |",
        "|---|---|---|",
        *(f"| {what} | {sidecar} | {observer} |" for what, (sidecar, observer) in rows),
    ]


def _row(metric: Metric) -> str:
    labels = ", ".join(_label(attribute) for attribute in metric.of) or "none"
    kind = metric.kind.replace("updowncounter", "gauge")
    return f"| `{metric.prometheus_name}` | `{metric.name}` | {kind} | {metric.unit} | {labels} | {metric.help} |"


def _label(attribute: Attribute) -> str:
    name = f"`{prometheus_label(attribute.name)}`"
    return f"{name} ({', '.join(attribute.values)})" if attribute.values and len(attribute.values) > 1 else name


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
