"""Generations as the append path sees them: one is what an app writes between opening and completing a stream."""

from __future__ import annotations

from rlb.telemetry.catalogue.metric import Attribute, counter, gauge, histogram
from rlb.telemetry.catalogue.shared import (
    GEN_AI,
    MODEL,
    REQUEST_DURATION,
    TIME_PER_OUTPUT_TOKEN,
    TIME_TO_FIRST_TOKEN,
    TOKEN_INTERVAL,
    TOKENS,
)

FINISH_REASON = Attribute(
    "finish_reason", ("stop", "length", "tool_calls", "content_filter", "error", "abandoned", "other")
)

GENERATIONS = (
    histogram(
        "rlb.token.interval",
        "s",
        "Time between successive messages of one generation as they reach the socket. Per message, not per token of "
        "the model: an app may send several tokens in one.",
        TOKEN_INTERVAL,
        MODEL,
    ),
    histogram(
        "gen_ai.server.time_to_first_token",
        "s",
        "Time from the request, as the app states it (requestedAt), to the first token. Only where the app does.",
        TIME_TO_FIRST_TOKEN,
        *GEN_AI,
    ),
    histogram(
        "gen_ai.server.time_per_output_token",
        "s",
        "Mean time per message after the first one, of generations that succeeded.",
        TIME_PER_OUTPUT_TOKEN,
        *GEN_AI,
    ),
    histogram(
        "gen_ai.server.request.duration",
        "s",
        "Time from the request, or the first token if the app states none, to completion; error.type only on failure.",
        REQUEST_DURATION,
        *GEN_AI,
        Attribute("error.type", ("error", "abandoned"), optional=True),
    ),
    gauge("rlb.generation.active", "{generation}", "Generations begun and not completed.", MODEL),
    gauge("rlb.generation.stalled", "{generation}", "Active generations without a token for too long.", MODEL),
    counter("rlb.generation.completed", "{generation}", "Generations that ended, by how.", MODEL, FINISH_REASON),
    histogram("rlb.generation.tokens", "{token}", "Tokens of a generation that ended.", TOKENS, MODEL),
    counter(
        "rlb.generation.untracked",
        "{generation}",
        "Generations that were not timed, as too many were open (RLB_GENERATION__MAX_OPEN).",
    ),
)
