"""The demo's traffic as plain numbers: who says what, with which delays and how it ends. No clock, no socket."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Literal

from rlb.cli.demo.corpus import ANSWERS
from rlb.cli.token_cutter import cut

FinishReason = Literal["stop", "length", "error"]

ENDINGS: tuple[tuple[FinishReason, float], ...] = (("stop", 0.80), ("length", 0.13), ("error", 0.07))
"""How often generations end in which way."""

FIRST_TOKEN_SIGMA = 0.45
INTERVAL_SIGMA = 0.35
"""Spread of the logarithm: half of all intervals lie within about a quarter of the median."""
PAUSE_S = 1.2
PAUSE_SIGMA = 0.6
TURNS = 6
LENGTH_LIMITS = (24, 32, 48)


@dataclass(frozen=True, slots=True)
class Model:
    """A model as its server behaves; the times are medians."""

    model_id: str
    first_token_s: float
    interval_s: float


MODELS = (
    Model("meta-llama/Llama-3.1-8B-Instruct", 0.22, 0.022),
    Model("mistralai/Mistral-7B-Instruct-v0.3", 0.18, 0.018),
    Model("llama3.1:8b", 0.55, 0.048),
    Model("Qwen/Qwen2.5-72B-Instruct", 0.80, 0.060),
)

SHOWN_SESSION = "demo"
"""The one session that goes on for the whole demo, so that it can be named in an example."""
SHOWN_MODEL = MODELS[0]


@dataclass(frozen=True, slots=True)
class Plan:
    """One generation: each token is sent after its delay, the first after the time to first token."""

    tokens: tuple[str, ...]
    delays_s: tuple[float, ...]
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Chat:
    """A session with one model; `turns` answers, or without an end where it is None."""

    session_id: str
    model: Model
    turns: int | None


def plan_chat(random: Random) -> Chat:
    """A session with any of the models."""
    return Chat(f"chat-{random.getrandbits(24):06x}", random.choice(MODELS), random.randint(1, TURNS))


def shown_chat() -> Chat:
    """The session that goes on."""
    return Chat(SHOWN_SESSION, SHOWN_MODEL, None)


def plan_generation(random: Random, model: Model) -> Plan:
    """An answer, cut short where it ends in `length` or `error`."""
    tokens = cut(random.choice(ANSWERS))
    reasons, weights = zip(*ENDINGS, strict=True)
    reason: FinishReason = random.choices(reasons, weights)[0]
    if reason == "length":
        tokens = tokens[: random.choice(LENGTH_LIMITS)]
    elif reason == "error":
        tokens = tokens[: random.randint(1, len(tokens) - 1)]
    first_s = random.lognormvariate(math.log(model.first_token_s), FIRST_TOKEN_SIGMA)
    later_s = (random.lognormvariate(math.log(model.interval_s), INTERVAL_SIGMA) for _ in tokens[1:])
    return Plan(tuple(tokens), (first_s, *later_s), reason)


def pause_s(random: Random) -> float:
    """How long a person reads and types until the next question."""
    return random.lognormvariate(math.log(PAUSE_S), PAUSE_SIGMA)
