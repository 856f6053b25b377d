"""How long properties are tried: the same few examples at every run, or with FUZZ=20 twenty times as many, new."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("FUZZ", "0"))

IN_TIME = pytest.mark.timeout(60 * max(1, FACTOR))
"""For a module of properties: more examples may take more time."""


def examples(count: int) -> settings:
    """Settings for a property that is tried `count` times. No deadlines: the machine is shared, and servers answer."""
    return settings(
        max_examples=count * max(1, FACTOR),
        derandomize=FACTOR == 0,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def load_usual_settings() -> None:
    """Have every property that names no settings tried in the same way, a hundred times.

    What Hypothesis takes otherwise gives an example 200 ms, and all drawing of them a second: too little for a machine
    that stands still now and then.
    """
    settings.register_profile("rlb", examples(100), suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("rlb")
