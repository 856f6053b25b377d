"""All calls of the socket, in one table."""

from __future__ import annotations

from rlb.api import models
from rlb.api.consume import MAX_IN_FLIGHT, ConsumerRoutes
from rlb.api.health import Health
from rlb.api.manage import MAX_PAGE, ManagementRoutes
from rlb.api.metrics import MetricsRoute, Render
from rlb.api.observe import DEFAULT_STREAMS, MAX_STREAMS, ObserverRoutes
from rlb.api.produce import ProducerRoutes
from rlb.api.routes import JSON_TYPE, NDJSON_TYPE, SSE_TYPE, Param, Route
from rlb.bridge.streams import SORTS, STATUSES
from rlb.domain.draft import CompleteRequest, MessageRequest, TokenRequest
from rlb.domain.snapshot import Snapshot
from rlb.domain.stream_info import StreamInfo, StreamPage
from rlb.domain.stream_key import MODEL_ID_PATTERN, SESSION_ID_PATTERN

_WRITE = (400, 409, 413, 415, 429, 503)
_READ = (400, 404, 409, 410, 413, 415, 503)
_MANAGE = (400, 404, 409, 410, 413, 415, 501, 503)

_SESSION: dict[str, object] = {"type": "string", "pattern": SESSION_ID_PATTERN}
_MODEL: dict[str, object] = {"type": "string", "pattern": MODEL_ID_PATTERN}
_NAME: dict[str, object] = {"type": "string", "pattern": r"^[A-Za-z0-9_.@=+~:/-]{1,128}$"}
_ENTRY_ID: dict[str, object] = {"type": "string", "pattern": models.ENTRY_ID_PATTERN}
_SHARED = Param("shared", {"type": "boolean"}, "Several producers write these streams on purpose: do not fence.")
_STREAM = (
    Param("sessionId", _SESSION, "The session.", required=True),
    Param("modelId", _MODEL, "The model.", required=True),
)
_PATH = (
    Param("sessionId", _SESSION, "The session.", required=True, where="path"),
    Param("modelId", _MODEL, "The rest of the path, slashes and all.", required=True, where="path"),
)


def _number(least: int, most: int, default: int) -> dict[str, object]:
    return {"type": "integer", "minimum": least, "maximum": most, "default": default}


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
                _SHARED,
                Param("sessionId", _SESSION, "The session of an event stream."),
                Param("modelId", _MODEL, "The model of an event stream."),
            ),
            problems=_WRITE,
        ),
        Route(
            "POST",
            "/v1/messages",
            produce.messages,
            "Append a whole message; as NDJSON, one a line.",
            takes=((JSON_TYPE, MessageRequest), (NDJSON_TYPE, None)),
            gives=acks,
            params=(_SHARED,),
            problems=_WRITE,
        ),
        Route(
            "POST",
            "/v1/streams/complete",
            produce.complete,
            "End a generation.",
            takes=((JSON_TYPE, CompleteRequest),),
            gives=((201, JSON_TYPE, models.Ack),),
            problems=_WRITE,
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
            problems=_READ,
        ),
        Route(
            "POST",
            "/v1/messages/ack",
            consume.acknowledge,
            "Settle deliveries.",
            takes=((JSON_TYPE, models.Acknowledge),),
            gives=settled,
            problems=_READ,
        ),
        Route(
            "POST",
            "/v1/messages/nack",
            consume.refuse,
            "Give deliveries back, to be delivered again at once.",
            takes=((JSON_TYPE, models.Refuse),),
            gives=settled,
            problems=_READ,
        ),
        Route(
            "GET",
            "/v1/tail",
            consume.tail,
            "Follow one stream until its generation ends; resume with Last-Event-ID.",
            gives=((200, SSE_TYPE, models.TailServerSentEvent), (200, NDJSON_TYPE, models.TailLine), (204, "", None)),
            params=(
                *_STREAM,
                Param("from", {"type": "string", "maxLength": 64}, "`0`, `$` or the entry id to go on behind."),
                Param("waitMs", _number(0, 60_000, 0), "How long to wait for a stream that is not there yet."),
                Param("Last-Event-ID", _ENTRY_ID, "Goes before `from`: what a browser saw last.", where="header"),
            ),
            problems=_READ,
        ),
        Route(
            "GET",
            "/v1/subscribe",
            consume.subscribe,
            "Read every stream of a model as a consumer of a group, new streams as they appear.",
            gives=((200, NDJSON_TYPE, models.DeliveryLine),),
            params=(
                Param("group", _NAME, "The group; made on each stream, from its start.", required=True),
                Param("consumer", _NAME, "The consumer; pending entries of its former life come first.", required=True),
                Param("modelId", {"type": "string"}, "One model, or `*`."),
                Param("maxInFlight", _number(1, MAX_IN_FLIGHT, 100), "Deliveries without an ack at any time."),
            ),
            problems=(400, 503),
        ),
    )


def management_routes(manage: ManagementRoutes) -> tuple[Route, ...]:
    """Calls on streams, groups and dead letters."""
    return (
        Route(
            "PUT",
            "/v1/streams",
            manage.create_stream,
            "Make a stream, with bounds of its own.",
            takes=((JSON_TYPE, models.CreateStream),),
            gives=((200, JSON_TYPE, models.Created), (201, JSON_TYPE, models.Created)),
            problems=_MANAGE,
        ),
        Route(
            "GET",
            "/v1/streams",
            manage.list_streams,
            "List streams.",
            gives=((200, JSON_TYPE, StreamPage),),
            params=(
                Param("modelId", _MODEL, "Only this model's."),
                Param("status", {"enum": list(STATUSES)}, "Only those on which a group has this status."),
                Param("sort", {"enum": list(SORTS)}, "`key`, or the largest first."),
                Param("limit", _number(1, MAX_PAGE, 100), "Streams a page."),
                Param("cursor", {"type": "string"}, "`nextCursor` of the page before."),
            ),
            problems=(400, 503),
        ),
        Route(
            "GET",
            "/v1/streams/{sessionId}/{modelId}",
            manage.stream_info,
            "One stream with its groups and their lag, as it is now.",
            gives=((200, JSON_TYPE, StreamInfo),),
            params=_PATH,
            problems=_READ,
        ),
        Route(
            "DELETE",
            "/v1/streams/{sessionId}/{modelId}",
            manage.delete_stream,
            "Delete a stream with its groups.",
            gives=((204, "", None),),
            params=_PATH,
            problems=_READ,
        ),
        Route(
            "POST",
            "/v1/streams/trim",
            manage.trim_stream,
            "Remove the oldest entries.",
            takes=((JSON_TYPE, models.TrimStream),),
            gives=((200, JSON_TYPE, models.Removed),),
            problems=_MANAGE,
        ),
        Route(
            "PUT",
            "/v1/groups",
            manage.create_group,
            "Make a consumer group whose lag is known from the start.",
            takes=((JSON_TYPE, models.CreateGroup),),
            gives=((200, JSON_TYPE, models.Created), (201, JSON_TYPE, models.Created)),
            problems=_MANAGE,
        ),
        Route(
            "GET",
            "/v1/dead-letters",
            manage.dead_letters,
            "A group's dead letters.",
            gives=((200, JSON_TYPE, models.DeadLetterPage),),
            params=(
                Param("group", _NAME, "The group.", required=True),
                Param("after", _ENTRY_ID, "Only those behind this one."),
                Param("limit", _number(1, MAX_PAGE, 100), "Dead letters a page."),
            ),
            problems=_READ,
        ),
        Route(
            "POST",
            "/v1/dead-letters/replay",
            manage.replay,
            "Put dead letters back among the group's pending entries.",
            takes=((JSON_TYPE, models.ChooseDeadLetters),),
            gives=((200, JSON_TYPE, models.Replayed),),
            problems=_MANAGE,
        ),
        Route(
            "POST",
            "/v1/dead-letters/drop",
            manage.drop,
            "Delete dead letters for good.",
            takes=((JSON_TYPE, models.ChooseDeadLetters),),
            gives=((200, JSON_TYPE, models.Dropped),),
            problems=_MANAGE,
        ),
    )


def observer_routes(observe: ObserverRoutes) -> tuple[Route, ...]:
    """Calls for those who look on."""
    limit = Param(
        "limit", _number(0, MAX_STREAMS, DEFAULT_STREAMS), "Streams to tell, the worst ones; totals are of all."
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
