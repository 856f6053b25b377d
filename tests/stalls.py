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
from pathlib import Path

NOT_RUNNING = "TtZ"
"""States of processes that are stopped already, as a test may have done, or have ended."""


def running_below(pid: int) -> list[int]:
    """The process and its descendants that run or sleep."""
    children: dict[int, list[int]] = defaultdict(list)
    states: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # of one that has ended meanwhile
            state, parent, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            states[int(folder.name)] = state
            children[int(parent)].append(int(folder.name))
    found = [pid]
    for one in found:
        found += children[one]
    return [one for one in found if states.get(one, "Z") not in NOT_RUNNING]


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
        struck = running_below(process.pid)
        if chance.random() < options.partly:
            struck = [pid for pid in struck if chance.random() < 0.5]
        signal_all(struck, signal.SIGSTOP)
        try:
            time.sleep(chance.uniform(*options.lasting))
        finally:
            signal_all(struck, signal.SIGCONT)


if __name__ == "__main__":
    sys.exit(main())
