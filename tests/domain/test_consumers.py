"""Consumers: active, idle or dead, by what each server version tells of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.domain.consumers import consumer_state, is_calling
from rlb.domain.stream_facts import ConsumerFacts
from rlb.domain.stream_info import ConsumerState

ACTIVE_S = 60.0
DEAD_S = 900.0


def consumer(idle_s: float, inactive_s: float | None = None, *, never_read: bool = False) -> ConsumerFacts:
    inactive_ms = None if inactive_s is None else int(inactive_s * 1000)
    return ConsumerFacts("c", 0, int(idle_s * 1000), inactive_ms, never_read)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        pytest.param(consumer(1, 1), "active", id="reads"),
        pytest.param(consumer(1, 59.9), "active", id="has read within the window"),
        pytest.param(consumer(1, 61), "idle", id="calls, and gets nothing"),
        pytest.param(consumer(1, 100_000), "idle", id="calls, and has got nothing for a day"),
        pytest.param(consumer(1, never_read=True), "idle", id="calls, and has never got anything"),
        pytest.param(consumer(899, 899), "idle", id="has not called for almost the dead time"),
        pytest.param(consumer(900, 900), "dead", id="has not called for the dead time"),
        pytest.param(consumer(900, never_read=True), "dead", id="has never got anything, and stopped calling"),
        pytest.param(consumer(59), "active", id="below 7.2: has read within the window"),
        pytest.param(consumer(61), "idle", id="below 7.2: waits, or has gone"),
        pytest.param(consumer(900), "dead", id="below 7.2: nothing read for the dead time"),
    ],
)
def test_state(facts: ConsumerFacts, state: ConsumerState) -> None:
    assert consumer_state(facts, active_s=ACTIVE_S, dead_s=DEAD_S) == state


def test_a_consumer_that_only_tries_is_calling() -> None:
    assert is_calling(consumer(1, 100_000), within_s=60)
    assert not is_calling(consumer(60, 60), within_s=60)


ORDER: list[ConsumerState] = ["active", "idle", "dead"]


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7), st.booleans())
def test_time_never_brings_a_consumer_back(idle_ms: int, waited_ms: int, passed_ms: int, told: bool) -> None:
    before = ConsumerFacts("c", 0, idle_ms, idle_ms + waited_ms if told else None)
    after = ConsumerFacts("c", 0, idle_ms + passed_ms, idle_ms + waited_ms + passed_ms if told else None)
    first, then = (consumer_state(facts, active_s=ACTIVE_S, dead_s=DEAD_S) for facts in (before, after))
    assert ORDER.index(first) <= ORDER.index(then)
