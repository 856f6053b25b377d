"""The thresholds of the alerts, as dashboards draw them: what is red here fires there."""

from __future__ import annotations

from dashboards.alerts.thresholds import THRESHOLDS


def limit(name: str) -> float:
    """The default of a threshold.

    Raises:
        LookupError: there is none of this name.
    """
    value = THRESHOLDS[name].default
    assert not isinstance(value, str), name
    return float(value)


def in_words(name: str) -> str:
    """The same as people write it, with its unit: `10 s`, `80 %`, `100`."""
    value = limit(name)
    match THRESHOLDS[name].unit:
        case "1":
            return f"{100 * value:g} %"
        case "s" if value >= 300 and value % 60 == 0:
            return f"{value / 60:g} min"
        case "s":
            return f"{value:g} s"
        case _:
            return f"{value:g}"
