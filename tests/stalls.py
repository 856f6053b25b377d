"""Run a command while its processes stand still now and then, as on a machine that others use too.

A test that counts on a few hundred milliseconds passes for months, and then fails in front of somebody who changed
something else. This finds it in an hour: every few seconds all processes of the command, or a random half of them, are
stopped for up to a second.

Usage: make stalls [ARGS="tests/api -k tail"]
       python -m tests.stalls [--every 1 4] [--lasting 0.3 1.2] [--partly 0.3] [--seed N] -- COMMAND...
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

STOPPED = "Tt"
"""States of processes that are stopped, by us or by a test."""

IMITATOR = "nsenter"
"""It stops itself when its child is stopped, and has to be continued for itself."""

IMITATED_S = 0.05
"""How long that may take it to notice."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process as /proc tells it."""

    pid: int
    name: str
    state: str


def below(pid: int) -> list[Process]:
    """The process and its descendants."""
    children: dict[int, list[int]] = defaultdict(list)
    known: dict[int, Process] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # of one that has ended meanwhile
            before, _, after = (folder / "stat").read_text().rpartition(")")
            state, parent, *_ = after.split()
            process = Process(int(folder.name), before.partition("(")[2], state)
            known[process.pid] = process
            children[int(parent)].append(process.pid)
    found = [pid]
    for one in found:
        found += children[one]
    return [known[one] for one in found if one in known]


def signal_all(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def main() -> int:
    """Run; the exit code is that of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=float, nargs=2, default=(1.0, 4.0), help="seconds between two stalls")
    parser.add_argument("--lasting", type=float, nargs=2, default=(0.3, 1.2), help="seconds of a stall")
    parser.add_argument("--partly", type=float, default=0.3, help="share of the stalls that strike only half of them")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    process = subprocess.Popen(options.command)
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(chance.uniform(*options.every))
        struck = [one.pid for one in below(process.pid) if one.state not in STOPPED]
        if chance.random() < options.partly:
            struck = [pid for pid in struck if chance.random() < 0.5]
        signal_all(struck, signal.SIGSTOP)
        try:
            time.sleep(chance.uniform(*options.lasting))
        finally:
            signal_all(struck, signal.SIGCONT)
        time.sleep(IMITATED_S)
        imitators = [one.pid for one in below(process.pid) if one.name == IMITATOR and one.state in STOPPED]
        signal_all(imitators, signal.SIGCONT)


if __name__ == "__main__":
    sys.exit(main())
