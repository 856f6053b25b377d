"""The demo's traffic is like that of real models."""

from __future__ import annotations

from collections import Counter
from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlb.cli.demo.corpus import ANSWERS
from rlb.cli.demo.traffic import (
    ENDINGS,
    LENGTH_LIMITS,
    MODELS,
    SHOWN_MODEL,
    SHOWN_SESSION,
    TURNS,
    Model,
    pause_s,
    plan_chat,
    plan_generation,
    shown_chat,
)
from rlb.domain.stream_key import stream_key


@given(st.integers(), st.sampled_from(MODELS))
def test_a_plan_is_an_answer_or_the_beginning_of_one(seed: int, model: Model) -> None:
    """Whole with `stop`, cut at a limit with `length`, cut anywhere with `error`; a delay for each token."""
    plan = plan_generation(Random(seed), model)
    text = "".join(plan.tokens)
    assert len(plan.tokens) == len(plan.delays_s) > 0
    assert all(delay_s > 0 for delay_s in plan.delays_s)
    if plan.finish_reason == "stop":
        assert text in ANSWERS
    else:
        assert any(answer.startswith(text) and answer != text for answer in ANSWERS)
    if plan.finish_reason == "length":
        assert len(plan.tokens) in LENGTH_LIMITS


def test_generations_end_as_often_in_each_way_as_declared() -> None:
    """Within a few percent over many generations."""
    random = Random(7)
    seen = Counter(plan_generation(random, SHOWN_MODEL).finish_reason for _ in range(3000))
    for reason, share in ENDINGS:
        assert seen[reason] / 3000 == pytest.approx(share, abs=0.03)
    assert sum(share for _, share in ENDINGS) == pytest.approx(1)


@pytest.mark.parametrize("model", MODELS, ids=[model.model_id for model in MODELS])
def test_delays_have_the_medians_of_their_model(model: Model) -> None:
    """The first token takes longer than the others, and most are near the median, some far above."""
    random = Random(7)
    plans = [plan_generation(random, model) for _ in range(400)]
    firsts = [plan.delays_s[0] for plan in plans]
    later = [delay_s for plan in plans for delay_s in plan.delays_s[1:]]
    assert median(firsts) == pytest.approx(model.first_token_s, rel=0.1)
    assert median(later) == pytest.approx(model.interval_s, rel=0.05)
    assert max(later) > 2 * model.interval_s


@given(st.integers())
def test_chats_have_names_that_streams_may_have(seed: int) -> None:
    """Sessions and models obey the rules of stream keys; turns and pauses are within reason."""
    random = Random(seed)
    chat = plan_chat(random)
    assert stream_key("llm:stream", chat.session_id, chat.model.model_id).session_id == chat.session_id
    assert chat.turns is not None
    assert 1 <= chat.turns <= TURNS
    assert 0.01 < pause_s(random) < 100


def test_one_chat_goes_on_for_ever() -> None:
    """The one that the printed commands name."""
    chat = shown_chat()
    assert (chat.session_id, chat.model, chat.turns) == (SHOWN_SESSION, SHOWN_MODEL, None)
