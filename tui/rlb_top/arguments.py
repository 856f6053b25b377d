"""The command line of rlb-top. Importing this must stay cheap: --help is not to wait for a terminal library."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn

from rlb_top.argument_types import seconds, speed, time_s, whole

USAGE = 2

DEFAULT_LIMIT = 1000
MAX_LIMIT = 10_000
DEFAULT_PORT = 8000

Format = Literal["table", "json", "csv"]
Mode = Literal["groups", "models", "streams"]

EPILOG = """\
Without --socket, --redis and --replay it looks for a sidecar at $RLB_SOCKET__PATH, else where one listens by default.
--redis takes what else it needs from the settings of rlb, such as RLB_REDIS__PASSWORD_FILE and RLB_MONITOR__PATTERNS;
it only reads. Exit codes: 0, 1 failed, 2 usage, 69 sidecar or Redis unreachable, 78 bad settings.
"""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What was asked for; None was not said."""

    socket: Path | None = None
    redis: str | None = field(default=None, repr=False)
    replay: Path | None = None
    patterns: tuple[str, ...] = ()
    limit: int = DEFAULT_LIMIT
    interval_s: float | None = None
    mode: Mode | None = None
    sort: str | None = None
    record: Path | None = None
    read_only: bool = False
    at_s: float | None = None
    speed: float = 1.0
    once: bool = False
    format: Format = "table"
    words: str = ""
    serve: bool = False
    port: int = DEFAULT_PORT


class UsageError(Exception):
    """What was asked for makes no sense; the message says why."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as rlb has it."""
        self.exit(USAGE, f"{self.prog}: usage: {message}; see `{self.prog} --help`\n")


def parse(argv: Sequence[str], *, version: str) -> Arguments:
    """The arguments; what cannot be meant ends the process with 2, and --help and --version with 0."""
    parser = _parser(version)
    given = parser.parse_args(argv)
    arguments = Arguments(**{**vars(given), "patterns": tuple(given.patterns or ())})
    for problem in _problems(arguments):
        parser.error(problem)
    return arguments


def _problems(given: Arguments) -> list[str]:
    """What does not go together."""
    sources = [name for name in ("socket", "redis", "replay") if getattr(given, name) is not None]
    found = [
        (len(sources) > 1, f"one source at a time, not {' and '.join(f'--{name}' for name in sources)}"),
        (given.once and given.serve, "--once and --serve exclude each other"),
        (given.once and given.record is not None, "--record writes while one watches, so not with --once"),
        (given.serve and given.record is not None, "--record has one file, so not with --serve"),
        (given.format != "table" and not given.once, "--format is for --once"),
        (bool(given.words) and not given.once, "--filter is for --once; on the screen type / and the words"),
        (bool(given.patterns) and given.redis is None, "--pattern is for --redis: a sidecar watches what it is set to"),
        (given.at_s is not None and given.replay is None, "--at is for --replay"),
        (given.speed != 1.0 and given.replay is None, "--speed is for --replay"),
        (given.record is not None and given.replay is not None, "--record and --replay exclude each other"),
        (given.interval_s is not None and given.replay is not None, "--interval is not for --replay, but --speed is"),
    ]
    return [text for applies, text in found if applies]


def _parser(version: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="rlb-top",
        description="Watch streams and consumer groups: who is behind, by how much, since when, and what is lost.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"rlb-top {version}")
    source = parser.add_argument_group("what to watch")
    source.add_argument("--socket", type=Path, metavar="PATH", help="a sidecar's socket")
    source.add_argument(
        "--redis", metavar="URL", help="a Redis itself, without a sidecar: redis://, rediss:// or unix://"
    )
    source.add_argument("--replay", type=Path, metavar="FILE", help="a recording")
    add = source.add_argument
    add(
        "--pattern",
        dest="patterns",
        action="append",
        metavar="GLOB",
        help="with --redis: keys to watch, such as orders:* or orders:{region} (repeatable; default: every stream)",
    )
    add(
        "--limit",
        type=whole(1, MAX_LIMIT),
        default=DEFAULT_LIMIT,
        metavar="N",
        help=f"streams to show, the worst ones; totals are of all (default {DEFAULT_LIMIT}, at most {MAX_LIMIT})",
    )
    add(
        "--interval",
        dest="interval_s",
        type=seconds,
        metavar="S",
        help="seconds between two pictures (default: 2 with --redis, as often as the sidecar polls with --socket)",
    )
    view = parser.add_argument_group("how to show it").add_argument
    view(
        "--mode",
        choices=("groups", "models", "streams"),
        help="one line for each group on a stream, group on a model, or stream",
    )
    view(
        "--sort",
        metavar="COLUMN",
        help="the column to sort by, such as status, lag, lag_s, lost; -lag the other way round (write --sort=-lag)",
    )
    view("--read-only", action="store_true", help="offer nothing that changes anything")
    view(
        "--record",
        type=Path,
        metavar="FILE",
        help="write a new recording of what is shown; it holds names and numbers, never what models write",
    )
    view(
        "--at",
        dest="at_s",
        type=time_s,
        metavar="S",
        help="with --replay: begin so many seconds in (with --once: this picture; default the last)",
    )
    view("--speed", type=speed, default=1.0, metavar="X", help="with --replay: so many times as fast")
    other = parser.add_argument_group("without a screen").add_argument
    other("--once", action="store_true", help="print one picture, and exit")
    other(
        "--format",
        choices=("table", "json", "csv"),
        default="table",
        help="with --once: a table for people, the whole snapshot as JSON, or the table's numbers as CSV",
    )
    other(
        "--filter",
        dest="words",
        default="",
        metavar="WORDS",
        help="with --once: only lines with all these words; status:losing, model:llama, !word",
    )
    other("--serve", action="store_true", help="show it in a browser of this machine, without actions, until Ctrl-C")
    other(
        "--port",
        type=whole(1, 65535),
        default=DEFAULT_PORT,
        metavar="N",
        help=f"with --serve: the port on 127.0.0.1 (default {DEFAULT_PORT})",
    )
    return parser
