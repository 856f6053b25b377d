"""What the judges count, and how it is told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.monitor.oracle.truth import GroupTruth

KEPT_FINDINGS = 20


@dataclass
class RedisScore:
    """The server's own `lag`, against the truth."""

    samples: int = 0
    unknown: int = 0
    wrong: int = 0
    max_error: int = 0

    def add(self, truth: GroupTruth) -> None:
        self.samples += 1
        if truth.server_lag is None:
            self.unknown += 1
        elif truth.server_lag != truth.lag:
            self.wrong += 1
            self.max_error = max(self.max_error, abs(truth.server_lag - truth.lag))

    def merge(self, other: RedisScore) -> None:
        """Count another score in."""
        self.samples += other.samples
        self.unknown += other.unknown
        self.wrong += other.wrong
        self.max_error = max(self.max_error, other.max_error)


@dataclass
class Score:
    """The monitor's lag and losses, against the truth. A sample is one group after one step on its stream."""

    samples: int = 0
    qualities: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    misled: int = 0
    """How often counters that somebody had set to what is not true were believed."""
    bound_width: int = 0
    """The widest gap between a lag and its upper bound."""
    losses: int = 0
    """Samples of groups whose losses have to be known to the last one, of these so many are."""
    losses_equal: int = 0
    losses_told: int = 0
    """What was told of all that was lost in those samples, entry by entry."""
    losses_true: int = 0
    losses_unknown: int = 0
    findings: list[str] = field(default_factory=list)

    def find(self, what: str) -> None:
        """Note that something is wrong."""
        self.wrong += 1
        if len(self.findings) < KEPT_FINDINGS:
            self.findings.append(what)

    def merge(self, other: Score) -> None:
        """Count another score in."""
        self.samples += other.samples
        self.qualities.update(other.qualities)
        self.wrong += other.wrong
        self.misled += other.misled
        self.bound_width = max(self.bound_width, other.bound_width)
        for name in ("losses", "losses_equal", "losses_told", "losses_true", "losses_unknown"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.findings = (self.findings + other.findings)[:KEPT_FINDINGS]

    def sentence(self) -> str:
        """The score in a line."""
        shares = ", ".join(f"{name} {percent(count, self.samples)}" for name, count in sorted(self.qualities.items()))
        told = f"; losses known to the last one {percent(self.losses_equal, self.losses)} of {self.losses}"
        told += f" ({percent(self.losses_told, self.losses_true)} of the lost entries, {self.losses_unknown} unknown)"
        return (
            f"{self.samples} samples, {self.wrong} wrong, {self.misled} misled; {shares}{told if self.losses else ''}"
        )


def percent(part: int, whole: int) -> str:
    """A share, with `0 %` kept for none and `100 %` for all."""
    if whole == 0:
        return "-"
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "< 0.1 %"
    if 99.9 < share < 100:
        return "> 99.9 %"
    return f"{share:.1f} %" if 0 < share < 100 else f"{share:.0f} %"
