"""What a failed command says, in one line with the next step, and its exit code."""

from __future__ import annotations

from dataclasses import dataclass

import typer

from rlb.errors import ApiError, RlbError, SettingsError, SidecarUnreachableError

FAILED = 1
USAGE = 2
UNREACHABLE = 69
"""EX_UNAVAILABLE of sysexits.h."""
BAD_SETTINGS = 78
"""EX_CONFIG of sysexits.h."""

START_IT = "start one with `rlb run`, or name its socket with --socket"

NEXT_STEPS = {
    "consumer_busy": "`rlb pending claim` hands its entries to another, `rlb dlq add` sets them aside",
    "draining": "try again when the sidecar is back",
    "fenced": "another writer has the stream; start over to take it back",
    "group_not_found": "`rlb groups` lists a stream's groups, `rlb groups create` makes one",
    "overloaded": "try again a little later",
    "peer_not_allowed": "the sidecar's RLB_SOCKET__ALLOW_UIDS and RLB_SOCKET__ALLOW_GIDS name who may connect",
    "redis_out_of_memory": "give Redis more memory, or trim streams with `rlb trim`",
    "redis_read_only": "look at the Redis server: a replica, or a disk that is full",
    "redis_unavailable": "`rlb health` says what the sidecar sees",
    "stream_gone": "it has expired or been deleted; `rlb streams` lists what there is",
    "stream_not_found": "`rlb streams` lists what there is",
    "too_large": "RLB_SOCKET__MAX_MESSAGE_BYTES of the sidecar is the limit",
}
"""What to do, by the code of the problem."""

_UNREACHABLE_CODES = {"redis_unavailable", "draining"}


@dataclass(frozen=True, slots=True)
class Failure:
    """How a command ends that did not do what it was asked; with the line for standard error."""

    line: str
    exit_code: int


def failure_of(error: RlbError | typer.TyperException | typer.Abort) -> Failure:
    """The line and the exit code for what a command raised."""
    match error:
        case SettingsError():
            return Failure(f"rlb: bad setting: {_one_line(error)}", BAD_SETTINGS)
        case SidecarUnreachableError():
            return Failure(f"rlb: unreachable: {_one_line(error)}; {START_IT}", UNREACHABLE)
        case ApiError():
            next_step = NEXT_STEPS.get(error.code)
            line = f"rlb: {error.code}: {_one_line(error)}" + (f"; {next_step}" if next_step else "")
            return Failure(line, UNREACHABLE if error.code in _UNREACHABLE_CODES else FAILED)
        case RlbError():
            return Failure(f"rlb: {_one_line(error)}", FAILED)
        case typer.TyperException():
            return _usage_failure(error)
        case _:
            return Failure("rlb: given up", FAILED)


def _usage_failure(error: typer.TyperException) -> Failure:
    """Typer's own text, which names the option, and where the options are explained."""
    text = _one_line(error.format_message()).rstrip(".").removeprefix("Invalid value: ")
    context = getattr(error, "ctx", None)
    if error.exit_code != USAGE:
        return Failure(f"rlb: {text}", error.exit_code)
    command = context.command_path if context is not None else "rlb"
    return Failure(f"rlb: usage: {text}; see `{command} --help`", USAGE)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
