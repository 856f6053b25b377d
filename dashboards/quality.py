"""rlb / LLM quality of service: what users feel, and whether the model or the bridge is to blame."""

from __future__ import annotations

from dashboards.grafana.assemble import Row, assemble
from dashboards.grafana.sdk import models
from dashboards.grafana.variables import first_token_objective
from dashboards.parts import tiles, traffic, user_times, vllm


def dashboard() -> models.Dashboard:
    """For those who run models."""
    return assemble(
        "rlb-quality",
        "rlb / LLM quality of service",
        "Do users wait for the first token, does the flow stutter, how do answers end, and who adds what?",
        (
            Row(
                "",
                (
                    user_times.first_tokens_in_time(),
                    tiles.first_token(),
                    tiles.interval(),
                    user_times.whole_answer(),
                    user_times.failing(),
                    user_times.stalled(),
                ),
            ),
            Row(
                "Do users wait for the first token?",
                (user_times.first_token(), user_times.first_token_heat(), user_times.first_token_by_model()),
            ),
            Row(
                "Does the flow stutter?",
                (
                    user_times.interval(),
                    user_times.interval_heat(),
                    user_times.interval_by_model(),
                    user_times.per_token(),
                    user_times.active(),
                ),
            ),
            Row(
                "How do answers end?",
                (
                    traffic.finished(),
                    user_times.duration(),
                    user_times.failing_by_model(),
                    user_times.tokens(),
                    user_times.sequence(),
                ),
            ),
            Row("How much of it is the bridge?", (vllm.added(),)),
            Row(
                "Beside vLLM",
                (vllm.explanation(), vllm.first_token(), vllm.interval(), vllm.tokens(), vllm.requests()),
            ),
        ),
        (first_token_objective(),),
    )
