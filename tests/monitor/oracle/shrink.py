"""Makes a history in which a monitor is wrong as short as it gets.

Usage: PYTHONPATH=. .venv/bin/python -m tests.monitor.oracle.shrink SERVER PROFILE SEED [SAMPLES]
"""

from __future__ import annotations

import sys

import uvloop

from tests.monitor.oracle.history import SERVER_CONFIG, Moment, Outcome, live, live_again
from tests.monitor.oracle.profiles import PROFILES
from tests.servers.kinds import KINDS
from tests.servers.process import RedisServer


async def shrink(server: RedisServer, outcome: Outcome) -> Outcome:
    """The shortest history found in which the same monitor is still wrong: steps are left out, then commands."""
    pace = outcome.first_wrong[0]
    best = await live_again(server, outcome.moments, [pace])
    if best.is_right:
        raise RuntimeError("it does not happen again")
    length = max(1, len(best.moments) // 2)
    while length:
        at = 0
        while at < len(best.moments):
            without = [*best.moments[:at], *best.moments[at + length :]]
            tried = await live_again(server, without, [pace]) if without else best
            if tried.is_right or tried is best:
                at += length
            else:
                best = tried
        length //= 2
    for at in range(len(best.moments) - 1, -1, -1):
        best = await _fewer_commands(server, best, at, pace)
    return best


async def _fewer_commands(server: RedisServer, best: Outcome, at: int, pace: str) -> Outcome:
    length = len(best.moments[at].step.commands) // 2
    while length and at < len(best.moments):
        moment = best.moments[at]
        start = 0
        while start < len(best.moments[at].step.commands) > 1:
            moment = best.moments[at]
            commands = moment.step.commands
            kept = [*commands[:start], *commands[start + length :]]
            if not kept:
                break
            step = type(moment.step)(moment.step.name, moment.step.key, kept, moment.step.at_once)
            moments = [*best.moments[:at], Moment(step, moment.polls), *best.moments[at + 1 :]]
            tried = await live_again(server, moments, [pace])
            if tried.is_right or len(tried.moments) <= at:
                start += length
            else:
                best = tried
        length //= 2
    return best


async def main(server_name: str, profile_name: str, seed: int, samples: int) -> None:
    """Live the history, shrink it, print it."""
    (kind,) = (kind for kind in KINDS if kind.name == server_name)
    (profile,) = (profile for profile in PROFILES if profile.name == profile_name)
    server = RedisServer(kind, config=SERVER_CONFIG).start()
    try:
        outcome = await live(server, profile, seed, samples)
        for pace, score in outcome.monitors.items():
            sys.stdout.write(f"{pace}: {score.sentence()}\n")
        if outcome.is_right:
            sys.stdout.write("nothing is wrong\n")
            return
        sys.stdout.write((await shrink(server, outcome)).report(last=100) + "\n")
    finally:
        server.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 300))
