"""What users of a model feel: the first token, the flow of tokens, the whole answer."""

from __future__ import annotations

from dashboards.grafana.limits import in_words
from dashboards.grafana.panels import Panel, heat, tile, timeseries
from dashboards.grafana.queries import buckets, level, quantile, rate, ratio, rise, share_within, top
from dashboards.grafana.style import COUNT, NEUTRAL, QUANTILES, SECONDS, SHARE, WARN, about, bad_below, steps
from dashboards.grafana.targets import Query, cells, now, series
from dashboards.parts.objectives import FIRST_TOKEN_BUDGET

FIRST = "gen_ai.server.time_to_first_token"
INTERVAL = "rlb.token.interval"
WHOLE = "gen_ai.server.request.duration"
OF_REQUEST = "gen_ai_request_model"
NO_REQUEST = "No traffic, or apps do not send requestedAt"

_FAILED = {"finish_reason": '=~"error|abandoned"'}


def _quantiles(name: str) -> tuple[Query, ...]:
    wanted = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    return tuple(series(quantile(q, name), label, exemplars=label != "p50") for q, label in wanted)


def first_tokens_in_time() -> Panel:
    return tile(
        "First tokens in time",
        about(
            "The share of first tokens within the bound chosen at the top, in the time shown.",
            bad="less than 95 %.",
            then="*Do users wait for the first token?* below.",
        ),
        SHARE,
        now(share_within(FIRST, "$ttft_slo", "$__range")),
        no_value=NO_REQUEST,
        thresholds=bad_below(1 - FIRST_TOKEN_BUDGET),
        decimals=1,
    )


def whole_answer() -> Panel:
    return tile(
        "Whole answer p95",
        about(
            "Time from the request to the end of the answer, 95 of 100; from the first token where apps do not send "
            "requestedAt.",
            bad="longer than users wait.",
            then="*How do answers end?* below.",
        ),
        SECONDS,
        now(quantile(0.95, WHOLE)),
        no_value="No answer ended",
    )


def failing() -> Panel:
    ended = rate("rlb.generation.completed")
    return tile(
        "Answers that fail",
        about(
            "The share of generations that end in an error or are abandoned by their app.",
            bad="more than a trace.",
            then="*How do answers end?* below; the logs of the app.",
        ),
        SHARE,
        now(ratio(rate("rlb.generation.completed", where=_FAILED), ended)),
        no_value="No answer ended",
        decimals=1,
    )


def stalled() -> Panel:
    return tile(
        "Stalled now",
        about(
            "Active generations without a token for too long (`RLB_GENERATION__STALLED_SECONDS`).",
            bad="any that stays: users look at half an answer.",
            then="`rlb-top`, view Generations, names them.",
        ),
        COUNT,
        now(level("rlb.generation.stalled")),
        no_value="No generation",
        thresholds=steps(NEUTRAL, (1, WARN)),
    )


def first_token() -> Panel:
    return timeseries(
        "Time to first token",
        about(
            "Time from the request, as the app states it, to the first token at the sidecar. Dots are traces.",
            bad=f"p95 above {in_words('time_to_first_token_seconds')}, or above what you promise.",
            then="*Beside vLLM*: if its own is as long, the model is busy; if not, the app adds the rest. Alert: "
            "RLBHighTimeToFirstToken.",
        ),
        SECONDS,
        *_quantiles(FIRST),
        w=8,
        colours=QUANTILES,
        no_value=NO_REQUEST,
    )


def first_token_heat() -> Panel:
    return heat(
        "Times to first token",
        about(
            "How many first tokens take which time.",
            bad="a second band far above: some requests queue.",
            then="narrow to a model at the top until the band is alone.",
        ),
        SECONDS,
        cells(buckets(FIRST)),
        w=8,
        no_value=NO_REQUEST,
    )


def first_token_by_model() -> Panel:
    return timeseries(
        "Time to first token p95 by model",
        about(
            "The ten slowest models. `other` is what came after the cap of histograms.",
            bad="one model far above the others, or above its own past.",
            then="*Beside vLLM*: requests that wait.",
        ),
        SECONDS,
        series(top(quantile(0.95, FIRST, OF_REQUEST)), f"{{{{{OF_REQUEST}}}}}"),
        w=8,
        no_value=NO_REQUEST,
    )


def interval() -> Panel:
    return timeseries(
        "Token interval",
        about(
            "Time between successive messages of a generation as they reach the sidecar. Per message: an app may send "
            "several tokens in one. Dots are traces.",
            bad=f"p99 above 0.2 s stutters; above {in_words('token_interval_seconds')} for minutes fires an alert.",
            then="*Beside vLLM*: if its own is as long, the model is slow; if not, the app is. Alert: "
            "RLBHighTokenInterval.",
        ),
        SECONDS,
        *_quantiles(INTERVAL),
        w=8,
        colours=QUANTILES,
    )


def interval_heat() -> Panel:
    return heat(
        "Token intervals",
        about(
            "How many intervals have which length.",
            bad="a band that rises, or a wide one: the flow is uneven.",
            then="narrow to a model at the top.",
        ),
        SECONDS,
        cells(buckets(INTERVAL)),
        w=8,
    )


def interval_by_model() -> Panel:
    return timeseries(
        "Token interval p99 by model",
        about(
            "The ten slowest models.",
            bad="one model far above its own past.",
            then="*Beside vLLM*: how many requests run at once.",
        ),
        SECONDS,
        series(top(quantile(0.99, INTERVAL, "model")), "{{model}}"),
        w=8,
    )


def per_token() -> Panel:
    return timeseries(
        "Mean time of a message p95",
        about(
            "The mean time per message after the first one, of each generation that succeeded; 95 of 100 are faster.",
            bad="above what readers read at, 0.1 s or so.",
            then="*Token interval* shows whether all messages are slow, or a few.",
        ),
        SECONDS,
        series(
            top(quantile(0.95, "gen_ai.server.time_per_output_token", OF_REQUEST)),
            f"{{{{{OF_REQUEST}}}}}",
            exemplars=True,
        ),
        no_value="No generation of two messages or more succeeded",
    )


def active() -> Panel:
    return timeseries(
        "Active and stalled generations",
        about(
            "Generations begun and not completed, and those of them without a token for too long "
            "(`RLB_GENERATION__STALLED_SECONDS`).",
            bad="stalled above 0 for long; active that only grows.",
            then="`rlb-top`, view Generations, names them; then the app, or vLLM.",
        ),
        COUNT,
        series(level("rlb.generation.active"), "active"),
        series(level("rlb.generation.stalled"), "stalled"),
        colours={"active": "blue", "stalled": WARN},
        no_value="No generation",
    )


def duration() -> Panel:
    return timeseries(
        "Time of a whole answer",
        about(
            "Time from the request, or the first token if the app states none, to the end.",
            bad="it grows while *Tokens of an answer* do not.",
            then="*Do users wait for the first token?* and *Does the flow stutter?* say which part grew.",
        ),
        SECONDS,
        *_quantiles(WHOLE),
        w=8,
        colours=QUANTILES,
        no_value="No answer ended",
    )


def failing_by_model() -> Panel:
    ended = rise("rlb.generation.completed", "5m", "model")
    failed = rise("rlb.generation.completed", "5m", "model", _FAILED)
    return timeseries(
        "Answers that fail, by model",
        about(
            "The share of generations that end in an error or are abandoned, over 5 min; the ten worst models.",
            bad="above a few per cent, or above its own past.",
            then="the log of that model's server, and of the app.",
        ),
        SHARE,
        series(top(ratio(failed, ended)), "{{model}}"),
        w=8,
        highest=1,
        no_value="No answer ended",
    )


def tokens() -> Panel:
    return heat(
        "Tokens of an answer",
        about(
            "How many generations have which number of tokens, as far as apps send one in each message.",
            bad="a band at the limit of the model: answers are cut off.",
            then="compare with `length` in *Generations by how they end*.",
        ),
        COUNT,
        cells(buckets("rlb.generation.tokens")),
        no_value="No answer ended",
    )


def sequence() -> Panel:
    return timeseries(
        "Out of sequence, and untracked",
        about(
            "Messages whose sequence number does not follow the one before, by kind; and generations that were not "
            "timed, as too many were open (`RLB_GENERATION__MAX_OPEN`).",
            bad="gaps: the app lost what the model said. Untracked: the times here leave some out.",
            then="the app's log around a gap. Alert: RLBSequenceAnomalies.",
        ),
        "count:/s",
        series(rate("rlb.sequence.anomalies", "anomaly"), "{{anomaly}}"),
        series(rate("rlb.generation.untracked"), "untracked"),
        at_least=1,
        no_value="No sidecar",
    )
