"""Every kind of failure has its exit code and one line with the next step."""

from __future__ import annotations

import pytest
import typer

from rlb.cli.failures import NEXT_STEPS, failure_of
from rlb.errors import (
    BY_CODE,
    DrainingError,
    FencedError,
    RedisOutOfMemoryError,
    RedisReadOnlyError,
    RedisUnavailableError,
    RlbError,
    SettingsError,
    SidecarUnreachableError,
    StartError,
    StreamNotFoundError,
)

CASES = {
    "setting": (SettingsError("RLB_X: unknown"), 78, "rlb: bad setting: RLB_X: unknown"),
    "start": (StartError("taken"), 1, "rlb: taken"),
    "unreachable": (SidecarUnreachableError("no one"), 69, "rlb: unreachable: no one; start one with `rlb run`"),
    "redis": (RedisUnavailableError("down"), 69, "rlb: redis_unavailable: down; `rlb health`"),
    "draining": (DrainingError("stopping"), 69, "rlb: draining: stopping; try again"),
    "read-only": (RedisReadOnlyError("replica"), 1, "rlb: redis_read_only: replica; look at"),
    "full": (RedisOutOfMemoryError("full"), 1, "rlb: redis_out_of_memory: full; give Redis more memory"),
    "missing": (StreamNotFoundError("none"), 1, "rlb: stream_not_found: none; `rlb streams`"),
    "fenced": (FencedError("taken over"), 1, "rlb: fenced: taken over; another writer"),
    "any": (RlbError("odd"), 1, "rlb: odd"),
    "input": (typer.TyperException("standard input: line 3"), 1, "rlb: standard input: line 3"),
    "usage": (typer.BadParameter("give ids"), 2, "rlb: usage: give ids; see `rlb --help`"),
    "no": (typer.Abort(), 1, "rlb: given up"),
}


@pytest.mark.parametrize(("error", "code", "line"), CASES.values(), ids=CASES)
def test_a_failure_has_its_code_and_line(
    error: RlbError | typer.TyperException | typer.Abort, code: int, line: str
) -> None:
    """0 is never given, and the line begins with the program's name."""
    failure = failure_of(error)
    assert failure.exit_code == code
    assert failure.line.startswith(line)


def test_a_failure_is_one_line_whatever_it_says() -> None:
    """Line ends in a detail do not break a log."""
    assert failure_of(RlbError("a\nb\r\n c")).line == "rlb: a b c"


def test_next_steps_are_for_codes_that_exist() -> None:
    """A renamed code does not leave its advice behind."""
    assert set(NEXT_STEPS) <= set(BY_CODE)
