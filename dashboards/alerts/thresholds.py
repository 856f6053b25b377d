"""The thresholds of the alerts, all of them: the chart's values and the rules' numbers come from here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Threshold:
    """One number (or, once, a pattern) by which alerts decide. `unit` is UCUM's, as in the catalogue."""

    name: str
    default: float | str
    unit: str
    meaning: str

    @property
    def camel(self) -> str:
        """Its name in the values of the chart."""
        first, *more = self.name.split("_")
        return first + "".join(word.capitalize() for word in more)

    @property
    def placeholder(self) -> str:
        """What stands for it in a rule."""
        return f"%%{self.camel}%%"


def text_of(value: float | str) -> str:
    """A value as it is written in a rule: 10, 0.8 or 1000000, not 1e+06."""
    if isinstance(value, str):
        return value
    return str(int(value)) if value == int(value) else repr(value)


_ALL = (
    Threshold("write_error_budget", 0.001, "1", "Part of the writes that may fail in 30 days: 0.001 is 99.9 %."),
    Threshold("delivery_slow_budget", 0.01, "1", "Part of the deliveries that may be slow in 30 days: 0.01 is 99 %."),
    Threshold(
        "delivery_seconds",
        1,
        "s",
        "Age of a message above which its delivery is slow. One of 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, "
        "1, 2.5, 5, 10, 30, 60 and 300, as only those are counted.",
    ),
    Threshold(
        "batch_groups",
        "",
        "",
        "Consumer groups that may be late, as they read in batches, as a regular expression: `archive|nightly-.+`. To "
        "be named before they call somebody; that they stand still or lose messages is told all the same.",
    ),
    Threshold("lost_messages", 0, "{message}", "Messages lost in 15 minutes above which somebody is called."),
    Threshold("lag_age_seconds", 10, "s", "Age of the oldest undelivered message above which a group lags."),
    Threshold("lag_growing_messages", 100, "{message}", "Lag below which it may grow without a word."),
    Threshold("lag_horizon_seconds", 3600, "s", "How far ahead a growing lag is followed to a loss."),
    Threshold("retention_headroom_seconds", 900, "s", "Time until a loss below which somebody is called."),
    Threshold(
        "retention_used_ratio",
        0.8,
        "1",
        "Age of the oldest undelivered message, as a part of the age at which messages are removed, above which they "
        "are at risk. For streams whose limits rlb does not know.",
    ),
    Threshold("pending_idle_seconds", 300, "s", "Time since its last delivery after which a pending message is stuck."),
    Threshold("poison_messages", 0, "{message}", "Messages delivered in vain as often as is allowed, to be accepted."),
    Threshold("unknown_lag_streams", 0, "{stream}", "Streams of unknown lag, for a group, to be accepted."),
    Threshold("stream_unread_ratio", 0.8, "1", "Undelivered messages of a stream, as a part of those that it keeps."),
    Threshold(
        "token_interval_seconds",
        1,
        "s",
        "Time between two tokens that at most 1 % may exceed; at most 2.5, which is the highest bucket.",
    ),
    Threshold(
        "time_to_first_token_seconds",
        10,
        "s",
        "Time to the first token that at most 5 % may exceed; at most 160, which is the highest bucket.",
    ),
    Threshold("queue_ratio", 0.8, "1", "Part of the memory for unwritten messages above which the queue is full soon."),
    Threshold("rejected_ratio", 0.01, "1", "Part of the messages that may be refused for one reason."),
    Threshold("sequence_anomalies", 0, "{message}", "Messages out of sequence in 10 minutes, to be accepted."),
    Threshold(
        "poll_age_seconds",
        60,
        "s",
        "Age of the last poll above which polled metrics are not to be trusted: more than three times the "
        "monitor.interval_seconds of every process.",
    ),
    Threshold("probe_failed_ratio", 0.1, "1", "Part of the synthetic round trips that may fail."),
    Threshold(
        "event_loop_lag_seconds",
        0.1,
        "s",
        "Delay of the event loop that at most 1 % of the looks may find exceeded; at most 2.5.",
    ),
    Threshold("export_failed_ratio", 0.1, "1", "Part of the exports of telemetry that may fail."),
    Threshold("clock_skew_seconds", 1, "s", "Difference between the clocks of a sidecar and of Redis."),
)

# What is no matter of taste, and so no value of the chart.

FEWEST_FAILED_WRITES = 10
FEWEST_SLOW_DELIVERIES = 100
"""In the long window of a budget: a share of less than that calls nobody. Nor do so few failed writes in 15 minutes."""

FEWEST_TOKENS_PER_SECOND = 1
FEWEST_GENERATIONS = 20
"""For a quantile of tokens in 5 minutes, and of generations in 10: with fewer, one of them would be the quantile."""

AWAY_RATIO = 0.5
"""Part of the sidecars of a namespace that have to have lost Redis for that to explain its errors."""

MOST_RESTARTS = 2
"""Of one process in place, in 20 minutes, before somebody is called; a rollout makes new ones."""

DEAD_SECONDS = 3600
"""Age of a backlog on streams that nobody has written to since, from which on nobody is woken for it."""

HUNG_SECONDS = 300
HUNG_GROWTH_RATIO = 0.1
"""Age of the backlog and of what is pending, and its growth in 10 minutes, of consumers that finish nothing."""

FEWEST_DELIVERIES = 10
UNFINISHED_SECONDS = 120
"""In 10 minutes, to a group that acknowledges none of them, and the age of what it has pending."""

STANDING_READ_RATIO = 0.1
"""Part of what comes up to which a group that reads it stands still rather than being slow."""

THRESHOLDS: Mapping[str, Threshold] = MappingProxyType({threshold.name: threshold for threshold in _ALL})

_BY_CAMEL = {threshold.camel: threshold for threshold in _ALL}
_PLACEHOLDER = re.compile(r"%%([A-Za-z]+)%%")


def used_in(text: str) -> frozenset[str]:
    """The names of the thresholds that a text has placeholders for.

    Raises:
        LookupError: there is no such threshold.
    """
    found = set(_PLACEHOLDER.findall(text)) - {"grafanaUrl"}
    if unknown := found - _BY_CAMEL.keys():
        raise LookupError(f"no threshold: {', '.join(sorted(unknown))}")
    return frozenset(_BY_CAMEL[camel].name for camel in found)


def filled(text: str, values: Mapping[str, float | str] | None = None) -> str:
    """A text with its thresholds filled in: `values` by name, the defaults for the others."""
    chosen = {name: threshold.default for name, threshold in THRESHOLDS.items()} | dict(values or {})
    for name in used_in(text):
        text = text.replace(THRESHOLDS[name].placeholder, text_of(chosen[name]))
    return text
