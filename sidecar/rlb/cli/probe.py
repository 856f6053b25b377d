"""Asks a sidecar how it is. Probes do so every few seconds, so this uses the standard library alone.

A plain `rlb health …` comes here straight from `main`: building the other commands would take most of its time.
"""

from __future__ import annotations

import http.client
import json
import os
import socket as sockets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

PATHS = {"live": "/livez", "ready": "/readyz", "all": "/healthz"}
MARKS = {"up": "ok", "down": "DOWN"}
TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask whom; without a socket, the one where a sidecar listens by default."""

    about: str = "all"
    socket: Path | None = None
    timeout_s: float = TIMEOUT_S
    as_json: bool = False


def question_of(arguments: Sequence[str]) -> Question | None:
    """The question of a command line, if it is one of the plain ones; all others are for the full parser."""
    if not arguments or arguments[0] != "health":
        return None
    question, rest = Question(), list(arguments[1:])
    while rest:
        match rest.pop(0):
            case "--json":
                question = replace(question, as_json=True)
            case "--socket" if rest and rest[0] and not rest[0].startswith("-"):
                question = replace(question, socket=Path(rest.pop(0)))
            case about if about in PATHS:
                question = replace(question, about=about)
            case _:
                return None
    return question


def answer(question: Question) -> int:
    """Print what the sidecar says; the exit code is 0 if it is well, 1 if it is not or if nobody answers."""
    path = question.socket or _default_path()
    try:
        status, report = _ask(path, PATHS[question.about], question.timeout_s)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        if question.as_json:
            print(json.dumps({"status": "unreachable", "reason": reason, "socket": str(path)}))
        else:
            print(f"rlb: unreachable: no sidecar answers at {path}: {reason}", file=sys.stderr)
        return 1
    print(json.dumps(report) if question.as_json else "\n".join(report_lines(report)))
    return 0 if status == 200 else 1


def report_lines(report: dict[str, Any]) -> list[str]:
    """The report for people: the verdict, then each component with what is wrong with it."""
    lines = [str(report["status"])]
    for component in report.get("components", ()):
        mark = MARKS.get(component["state"], component["state"])
        reason = component.get("reason")
        lines.append(f"  {mark:<8} {component['name']}" + (f": {reason}" if reason else ""))
    return lines


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("rlb", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self._path))


def _ask(socket: Path, path: str, timeout_s: float) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a GET over the socket.

    Raises:
        OSError, HTTPException, ValueError: nobody answers, or nobody of ours.
    """
    connection = _UnixConnection(socket, timeout_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        report = json.loads(response.read())
    finally:
        connection.close()
    if not isinstance(report, dict) or "status" not in report:
        raise ValueError("the answer is none of a sidecar's")
    return response.status, report


def _default_path() -> Path:
    if written := os.environ.get("RLB_SOCKET__PATH"):
        return Path(written)
    # Only here: it brings all of the settings along, which take longer than the question.
    from rlb.settings import client_socket_path

    return client_socket_path()
