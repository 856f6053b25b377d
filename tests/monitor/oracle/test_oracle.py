"""The monitor against the truth, on every kind of server: few samples in `make test`, 21,000 a server with FUZZ=14.

A failure names its seed: `ORACLE_SEED=<seed>` lives that history again, `tests/monitor/oracle/shrink.py` shortens it.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.conftest import OwnServer
from tests.monitor.oracle.history import SERVER_CONFIG, live
from tests.monitor.oracle.profiles import PROFILES, Profile
from tests.monitor.oracle.score import Score
from tests.servers.kinds import ServerKind
from tests.support.fuzz import FACTOR
from tests.support.loops import allow

LIMIT_S = 170 * max(1, FACTOR)

pytestmark = pytest.mark.timeout(LIMIT_S + 10)

SAMPLES = 300
"""In one history; a server sees one of each profile, or FUZZ of each."""
FIRST_SEED = int(os.environ.get("ORACLE_SEED", "0")) or (random.randrange(1, 2**31) if FACTOR else 1)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
async def test_lag_and_losses_are_true(redis_kind: ServerKind, own_server: OwnServer, profile: Profile) -> None:
    """Whatever happens to a stream, and however seldom it is polled."""
    allow(LIMIT_S)
    server = own_server(redis_kind, config=SERVER_CONFIG)
    scores: dict[str, Score] = {}
    for seed in range(FIRST_SEED, FIRST_SEED + max(1, FACTOR)):
        outcome = await live(server, profile, seed, SAMPLES)
        for pace, score in outcome.monitors.items():
            scores.setdefault(pace, Score()).merge(score)
        if not outcome.is_right:
            pytest.fail(outcome.report(), pytrace=False)
    assert all(score.samples for score in scores.values())
    if profile.tells_all_losses:
        score = scores["every step"]
        assert score.losses_equal == score.losses, score.sentence()
