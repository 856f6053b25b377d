"""The quick way of `rlb health`: which command lines it takes, and what it prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rlb.cli.probe import Question, question_of, report_lines
from tests.cli.processes import clean_environment

PLAIN = {
    "health": Question(),
    "health live": Question("live"),
    "health --json ready": Question("ready", as_json=True),
    "health --socket /x/s": Question(socket=Path("/x/s")),
    "health --socket /x/s all --json": Question("all", Path("/x/s"), as_json=True),
}


@pytest.mark.parametrize(("line", "question"), PLAIN.items(), ids=PLAIN)
def test_a_plain_probe_goes_the_quick_way(line: str, question: Question) -> None:
    """What probes are made of is understood without the full parser."""
    assert question_of(line.split()) == question


@pytest.mark.parametrize(
    "line",
    ["", "run", "health --help", "health dead", "health --timeout 1", "health --socket", "health --socket --json"],
)
def test_everything_else_is_left_to_the_full_parser(line: str) -> None:
    """Help, usage errors and rare options are the full parser's business."""
    assert question_of(line.split()) is None


def test_the_report_says_what_is_wrong() -> None:
    """The verdict first, then each component, with its reason if it has one."""
    components = [
        {"name": "redis", "state": "down", "since": 1.0, "reason": "cannot connect"},
        {"name": "socket", "state": "up", "since": 1.0, "reason": None},
    ]
    lines = report_lines({"status": "degraded", "components": components})
    assert [line.split() for line in lines] == [["degraded"], ["DOWN", "redis:", "cannot", "connect"], ["ok", "socket"]]


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("rlb.cli", {"typer", "rich", "pydantic", "asyncio", "aiohttp", "uvloop", "redis", "yaml"}),
        (
            "rlb.cli.app",
            {"rich", "pydantic", "asyncio", "aiohttp", "uvloop", "redis", "yaml", "rlb.service", "rlb.client"},
        ),
    ],
)
def test_a_command_loads_only_what_it_needs(module: str, forbidden: set[str]) -> None:
    """A probe loads the standard library alone, and building the commands loads none of what they use."""
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=30,
        check=True,
    )
    assert forbidden.isdisjoint(ran.stdout.split())
