"""The bridge's numbers beside those of vLLM, so that it is plain who adds what."""

from __future__ import annotations

from dashboards.grafana.panels import Panel, note, timeseries
from dashboards.grafana.queries import WINDOW, level, quantile, rate, selector, together, top
from dashboards.grafana.style import COUNT, SECONDS, TOKENS_PER_SECOND, WARN, about
from dashboards.grafana.targets import series

NOT_SCRAPED = "No traffic, or vLLM is not scraped here"
_MODEL = "model_name"
_ITS = "vLLM · {{model_name}}"
_OURS = "rlb · {{model}}"


def explanation() -> Panel:
    return note(
        "What this needs",
        "These panels put the bridge beside vLLM's own metrics (`vllm:…`). They have vLLM's lines if this Prometheus "
        "scrapes vLLM, in a namespace that is chosen at the top, and if its `model_name` is the model that apps send "
        "to the bridge. Otherwise only the bridge's lines are there. What a line of *rlb* is above that of *vLLM* is "
        "added by the app between them.",
        h=3,
    )


def first_token() -> Panel:
    return timeseries(
        "Time to first token p95: rlb and vLLM",
        about(
            "vLLM counts from the arrival of the request there; the bridge from the request as the app states it, to "
            "the first token at the sidecar.",
            bad="both rise: the model is busy. Only rlb's rises: the app, or the way to vLLM, adds it.",
            then="*Requests in vLLM*: waiting ones mean too little capacity.",
        ),
        SECONDS,
        series(
            top(quantile(0.95, "gen_ai.server.time_to_first_token", "gen_ai_request_model"), 5),
            "rlb · {{gen_ai_request_model}}",
        ),
        series(top(quantile(0.95, "vllm:time_to_first_token_seconds", _MODEL, wide=True), 5), _ITS),
        dashed="B",
        names_below=True,
        no_value=NOT_SCRAPED,
    )


def interval() -> Panel:
    return timeseries(
        "Token interval p95: rlb and vLLM",
        about(
            "vLLM's time between output events, under its present name or the one before 0.11, and the bridge's "
            "between messages at the sidecar.",
            bad="only rlb's rises: the app adds the rest, or sends several tokens in one message.",
            then="the app's traces, from the dots of *Token interval* above.",
        ),
        SECONDS,
        series(top(quantile(0.95, "rlb.token.interval", "model"), 5), _OURS),
        series(top(_either_name(0.95), 5), _ITS),
        dashed="B",
        names_below=True,
        no_value=NOT_SCRAPED,
    )


def _either_name(q: float) -> str:
    """A quantile of the interval by the name that the server uses: newer ones have the first, older the second."""
    names = ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds")
    new, old = (f"rate({selector(name, part='_bucket', wide=True)}[{WINDOW}])" for name in names)
    return f"histogram_quantile({q:g}, {together('sum', f'{new} or {old}', ('le', _MODEL))}) >= 0"


def tokens() -> Panel:
    made = f"rate({selector('vllm:generation_tokens_total', wide=True)}[{WINDOW}])"
    return timeseries(
        "Tokens: rlb and vLLM",
        about(
            "Tokens that vLLM generates, and messages with a token that the bridge accepts.",
            bad="the bridge's far below: not all apps stream through it, or they send several tokens in one message.",
            then="*Out of sequence* above: gaps mean that an app loses some.",
        ),
        TOKENS_PER_SECOND,
        series(top(rate("rlb.ingest.tokens", "model"), 5), _OURS),
        series(top(together("sum", made, _MODEL), 5), _ITS),
        dashed="B",
        names_below=True,
        no_value=NOT_SCRAPED,
    )


def requests() -> Panel:
    running = selector("vllm:num_requests_running", wide=True)
    waiting = selector("vllm:num_requests_waiting", wide=True)
    return timeseries(
        "Requests in vLLM",
        about(
            "Requests that vLLM runs and that wait there, of the models chosen at the top, and generations that are "
            "active in the bridge.",
            bad="waiting above 0 for long: the first token takes as much longer.",
            then="give vLLM more capacity, or send it less.",
        ),
        COUNT,
        series(level("rlb.generation.active"), "rlb active"),
        series(together("sum", running), "vLLM running"),
        series(together("sum", waiting), "vLLM waiting"),
        colours={"rlb active": "blue", "vLLM running": "green", "vLLM waiting": WARN},
        dashed="BC",
        no_value=NOT_SCRAPED,
    )


def added() -> Panel:
    """What the bridge itself adds to the way of a token."""
    return timeseries(
        "What the bridge adds",
        about(
            "The parts of a message's way through the bridge: waiting in the sidecar, the write to Redis; the whole "
            "way until a reader has it, for half of the messages, as the others may wait for their readers; and the "
            "same for a message of the sidecar's own (probe).",
            bad="queue or write above 10 ms; age at delivery far above both is a reader that lags.",
            then="*Sidecar internals* for queue and write, *Consumer groups* for deliveries.",
        ),
        SECONDS,
        series(quantile(0.95, "rlb.ingest.queue.duration"), "in the queue, p95"),
        series(
            quantile(0.95, "messaging.client.operation.duration", where={"messaging_operation_name": '="XADD"'}),
            "write to Redis, p95",
        ),
        series(quantile(0.5, "rlb.message.age"), "age at delivery, p50", exemplars=True),
        series(quantile(0.95, "rlb.probe.duration"), "probe, p95"),
        w=24,
        logarithmic=True,
        lowest=None,
    )
