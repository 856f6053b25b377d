"""How long properties are tried: the same few examples at every run, or with RLB_FUZZ=20 twenty times as many, new."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("RLB_FUZZ", "0"))


def examples(count: int) -> settings:
    """Settings for a property that is tried `count` times. No deadlines: the machine is shared, and servers answer."""
    return settings(
        max_examples=count * max(1, FACTOR),
        derandomize=FACTOR == 0,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
