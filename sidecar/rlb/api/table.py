"""The table of calls: those of apps, of those who look on, and of probes. Operators' are in `management_table`."""

from __future__ import annotations

from rlb.api import models
from rlb.api.consume import MAX_IN_FLIGHT, ConsumerRoutes
from rlb.api.health import Health
from rlb.api.metrics import MetricsRoute, Render
from rlb.api.observe import DEFAULT_STREAMS, MAX_STREAMS, ObserverRoutes
from rlb.api.params import ENTRY_ID, MODEL, NAME, READ, SESSION, SHARED, STREAM, UNIX_MS, WRITE, number
from rlb.api.produce import ProducerRoutes
from rlb.api.routes import JSON_TYPE, NDJSON_TYPE, SSE_TYPE, Param, Route
from rlb.domain.draft import CompleteRequest, MessageRequest, TokenRequest
from rlb.domain.snapshot import Snapshot


def producer_routes(produce: ProducerRoutes) -> tuple[Route, ...]:
    """Calls that write messages."""
    acks = ((200, NDJSON_TYPE, models.AckLine), (201, JSON_TYPE, models.Ack))
    return (
        Route(
            "POST",
            "/v1/tokens",
            produce.tokens,
            "Append a token; as NDJSON, one a line; as an event stream, a whole answer in the OpenAI format.",
            takes=((JSON_TYPE, TokenRequest), (NDJSON_TYPE, None), (SSE_TYPE, None)),
            gives=acks,
            params=(
                SHARED,
                Param("sessionId", SESSION, "The session of an event stream."),
                Param("modelId", MODEL, "The model of an event stream."),
                Param("requestedAt", UNIX_MS, "When the app was asked for what comes as an event stream, Unix ms."),
            ),
            problems=WRITE,
        ),
        Route(
            "POST",
            "/v1/messages",
            produce.messages,
            "Append a whole message; as NDJSON, one a line.",
            takes=((JSON_TYPE, MessageRequest), (NDJSON_TYPE, None)),
            gives=acks,
            params=(SHARED,),
            problems=WRITE,
        ),
        Route(
            "POST",
            "/v1/streams/complete",
            produce.complete,
            "End a generation.",
            takes=((JSON_TYPE, CompleteRequest),),
            gives=((201, JSON_TYPE, models.Ack),),
            problems=WRITE,
        ),
    )


def consumer_routes(consume: ConsumerRoutes) -> tuple[Route, ...]:
    """Calls that read messages."""
    settled = ((200, JSON_TYPE, models.Acknowledged),)
    return (
        Route(
            "POST",
            "/v1/messages/read",
            consume.read,
            "Read as a consumer of a group.",
            takes=((JSON_TYPE, models.ReadMessages),),
            gives=((200, JSON_TYPE, models.Messages),),
            problems=READ,
        ),
        Route(
            "POST",
            "/v1/messages/ack",
            consume.acknowledge,
            "Settle deliveries.",
            takes=((JSON_TYPE, models.Acknowledge),),
            gives=settled,
            problems=READ,
        ),
        Route(
            "POST",
            "/v1/messages/nack",
            consume.refuse,
            "Give deliveries back, to be delivered again at once.",
            takes=((JSON_TYPE, models.Refuse),),
            gives=settled,
            problems=READ,
        ),
        Route(
            "GET",
            "/v1/tail",
            consume.tail,
            "Follow one stream until its generation ends; resume with Last-Event-ID.",
            gives=((200, SSE_TYPE, models.TailServerSentEvent), (200, NDJSON_TYPE, models.TailLine), (204, "", None)),
            params=(
                *STREAM,
                Param("from", {"type": "string", "maxLength": 64}, "`0`, `$` or the entry id to go on behind."),
                Param("waitMs", number(0, 60_000, 0), "How long to wait for a stream that is not there yet."),
                Param("Last-Event-ID", ENTRY_ID, "Goes before `from`: what a browser saw last.", where="header"),
            ),
            problems=READ,
        ),
        Route(
            "GET",
            "/v1/subscribe",
            consume.subscribe,
            "Read every stream of a model as a consumer of a group, new streams as they appear.",
            gives=((200, NDJSON_TYPE, models.DeliveryLine),),
            params=(
                Param("group", NAME, "The group; made on each stream, from its start.", required=True),
                Param("consumer", NAME, "The consumer; pending entries of its former life come first.", required=True),
                Param("modelId", {"type": "string"}, "One model, or `*`."),
                Param("maxInFlight", number(1, MAX_IN_FLIGHT, 100), "Deliveries without an ack at any time."),
            ),
            problems=(400, 503),
        ),
    )


def observer_routes(observe: ObserverRoutes) -> tuple[Route, ...]:
    """Calls for those who look on."""
    limit = Param(
        "limit", number(0, MAX_STREAMS, DEFAULT_STREAMS), "Streams to tell, the worst ones; totals are of all."
    )
    return (
        Route(
            "GET",
            "/v1/snapshot",
            observe.snapshot,
            "What the last poll of Redis has found: streams, groups with their lag, open generations.",
            gives=((200, JSON_TYPE, Snapshot),),
            params=(limit,),
        ),
        Route(
            "GET",
            "/v1/snapshot/watch",
            observe.watch,
            "The same now, and again after every poll, one a line.",
            gives=((200, NDJSON_TYPE, Snapshot),),
            params=(limit,),
        ),
    )


def health_routes(health: Health) -> tuple[Route, ...]:
    """Calls that probes make."""
    alive = (200, JSON_TYPE, models.Live)
    return (
        Route("GET", "/livez", health.livez, "Whether the process turns.", gives=(alive,), problems=()),
        Route(
            "GET",
            "/readyz",
            health.readyz,
            "Whether it takes requests.",
            gives=(alive, (503, JSON_TYPE, models.Live)),
            params=(Param("redis", {"enum": ["1"]}, "Ask for Redis too."),),
            problems=(),
        ),
        Route(
            "GET",
            "/healthz",
            health.healthz,
            "Every component with its state.",
            gives=((200, JSON_TYPE, models.HealthReport), (503, JSON_TYPE, models.HealthReport)),
            problems=(),
        ),
    )


def metrics_routes(render: Render) -> tuple[Route, ...]:
    """The call that scrapers make."""
    return (
        Route(
            "GET",
            "/metrics",
            MetricsRoute(render).metrics,
            "All metrics, in the Prometheus text format, or in OpenMetrics if asked for.",
            gives=((200, "text/plain", None),),
            problems=(),
        ),
    )
