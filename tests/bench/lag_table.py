"""The table of docs/lag.md: Redis's own lag and the monitor's, both against the truth, in the same random histories.

Usage: make docs-lag [ARGS="--samples 20000 --seed 1"]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import uvloop

from tests.monitor.oracle.history import SERVER_CONFIG, live
from tests.monitor.oracle.judge import PACES
from tests.monitor.oracle.profiles import PROFILES
from tests.monitor.oracle.score import RedisScore, Score, percent
from tests.servers.kinds import KINDS, ServerKind, UnavailableError
from tests.servers.process import RedisServer

DOCUMENT = Path(__file__).parents[2] / "docs" / "lag.md"
BEGIN, END = "<!-- measured -->\n", "<!-- /measured -->\n"
HISTORY = 300
"""Samples of one history; then the next one begins on an empty server, with the next seed."""


@dataclass
class Row:
    """One kind of use on one server."""

    profile: str
    redis: RedisScore = field(default_factory=RedisScore)
    monitors: dict[str, Score] = field(default_factory=lambda: {pace: Score() for pace in PACES})


@dataclass
class ServerRows:
    """All kinds of use on one server; `findings` tell what the monitor got wrong."""

    server: str
    rows: list[Row]
    findings: list[str]


async def _measure(server: RedisServer, samples: int, seed: int) -> ServerRows:
    measured = ServerRows(server.kind.name, [], [])
    for profile in PROFILES:
        row = Row(profile.name)
        number = seed
        while row.redis.samples < samples / len(PROFILES):
            outcome = await live(server, profile, number, HISTORY)
            row.redis.merge(outcome.redis)
            for pace, score in outcome.monitors.items():
                row.monitors[pace].merge(score)
            if not outcome.is_right:
                measured.findings.append(outcome.report())
            number += 1
        measured.rows.append(row)
    return measured


def measure(kind_name: str, samples: int, seed: int) -> ServerRows | None:
    """Histories of every kind on one server; None where there is no such server."""
    (kind,) = (kind for kind in KINDS if kind.name == kind_name)
    try:
        server = RedisServer(kind, config=SERVER_CONFIG)
    except UnavailableError:
        return None
    server.start()
    try:
        return uvloop.run(_measure(server, samples, seed))
    finally:
        server.close()


def _has_lag(kind: ServerKind) -> bool:
    return kind.version >= (7, 0, 0)


def _rows(*cells: list[str], text_columns: int = 2) -> Iterator[str]:
    """A Markdown table; all but the first columns hold numbers."""
    head, *rest = cells
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * text_columns}{'--:|' * (len(head) - text_columns)}"
    for row in rest:
        yield f"| {' | '.join(row)} |"


def lag_table(measured: list[ServerRows]) -> Iterator[str]:
    """What the server says of lag, and what the monitor says that polled after every step."""
    head = "server, use, samples, Redis: no number, Redis: wrong, greatest error, rlb: wrong, rlb: bounds"
    table = [head.split(", ")]
    kinds = {kind.name: kind for kind in KINDS}
    for server in measured:
        for row in server.rows:
            redis, score = row.redis, row.monitors["every step"]
            says = ["has none", "-", "-"]
            if _has_lag(kinds[server.server]):
                says = [
                    percent(redis.unknown, redis.samples),
                    percent(redis.wrong, redis.samples),
                    f"{redis.max_error:,}" if redis.max_error else "-",
                ]
            bounds = percent(score.qualities["bounded"] + score.qualities["unknown"], score.samples)
            wrong = percent(score.wrong, score.samples)
            table.append([server.server, row.profile, f"{redis.samples:,}", *says, wrong, bounds])
    yield from _rows(*table)


def pace_table(measured: list[ServerRows]) -> Iterator[str]:
    """What becomes of lag where polls are rarer."""
    table = [["server", "polls", "samples", "wrong", "exact", "the server's", "bounds", "unknown", "misled"]]
    for server in measured:
        for pace in PACES:
            score = Score()
            for row in server.rows:
                score.merge(row.monitors[pace])
            qualities = ("exact", "server", "bounded", "unknown")
            shares = [percent(score.qualities[name], score.samples) for name in qualities]
            wrong, misled = percent(score.wrong, score.samples), percent(score.misled, score.samples)
            table.append([server.server, pace, f"{score.samples:,}", wrong, *shares, misled])
    yield from _rows(*table)


def loss_table(measured: list[ServerRows]) -> Iterator[str]:
    """How much of what was lost the monitor tells that polled after every step."""
    table = [["server", "use", "samples", "lost entries told", "samples with all of them"]]
    for server in measured:
        for row in server.rows:
            score = row.monitors["every step"]
            if score.losses_true:
                told = percent(score.losses_told, score.losses_true)
                equal = percent(score.losses_equal, score.losses)
                table.append([server.server, row.profile, f"{score.losses:,}", told, equal])
    yield from _rows(*table)


def document(text: str, measured: list[ServerRows], samples: int, seed: int) -> str:
    """The document with its measured part replaced."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    uses = [f"- **{profile.name}**: {profile.says}" for profile in PROFILES]
    parts = [
        f"{samples:,} samples a server at least, seeds from {seed}.",
        "",
        *uses,
        "",
        *lag_table(measured),
        "",
        "By how often the monitor polls, all uses together:",
        "",
        *pace_table(measured),
        "",
        "Entries that were lost unread, as told after every step:",
        "",
        *loss_table(measured),
        "",
    ]
    return f"{head}{BEGIN}\n" + "\n".join(parts) + f"\n{END}{tail}"


def main() -> None:
    """Measure, print, and write the document if nothing was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20_000, help="on each server, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", action="append", help="only this one, such as redis-8.2.3; writes nothing")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    names = options.server or [kind.name for kind in KINDS]
    with ProcessPoolExecutor(options.jobs) as pool:
        results = list(pool.map(partial(measure, samples=options.samples, seed=options.seed), names))
    measured = [result for result in results if result is not None]
    print("\n".join([*lag_table(measured), "", *pace_table(measured), "", *loss_table(measured)]))
    findings = [finding for server in measured for finding in server.findings]
    for finding in findings:
        print(f"\n{finding}")
    if findings:
        raise SystemExit(f"{len(findings)} histories in which the monitor is wrong")
    if not options.server:
        DOCUMENT.write_text(document(DOCUMENT.read_text(), measured, options.samples, options.seed))


if __name__ == "__main__":
    main()
