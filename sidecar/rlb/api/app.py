"""The ASGI applications: one for the socket, one for the TCP port."""

from __future__ import annotations

import asyncio
import functools
import json
import logging

from rlb._version import __version__
from rlb.api import models
from rlb.api.consume import ConsumerRoutes
from rlb.api.health import Health
from rlb.api.manage import ManagementRoutes
from rlb.api.management_table import management_routes, pending_routes
from rlb.api.metrics import Render
from rlb.api.observe import ObserverRoutes, SnapshotSource
from rlb.api.openapi import describe, page
from rlb.api.pending import PendingRoutes
from rlb.api.problems import Send, send_problem
from rlb.api.produce import ProducerRoutes
from rlb.api.request import DisconnectedError, Receive, Request, Scope
from rlb.api.routes import JSON_TYPE, BodyBounds, Route, Router
from rlb.api.table import (
    consumer_routes,
    health_routes,
    metrics_routes,
    observer_routes,
    producer_routes,
)
from rlb.bridge.core import Core
from rlb.domain.trace_context import current_trace
from rlb.errors import ApiError, InternalError, place_of

_log = logging.getLogger("rlb.api")


class Application:
    """Finds the handler of a request, and turns whatever it raises into a problem document."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._router = Router(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        # Each request is a task of its own, so this lasts as long as the request does.
        current_trace.set(request.trace_context)
        try:
            await self._router.find(scope["method"], request.path)(request)
        except DisconnectedError:
            pass
        except ApiError as error:
            await self._fail(request, send, error)
        except Exception as error:  # noqa: BLE001 - the last line of defence: the peer gets an answer, the log the fault
            # The exception's text may hold what the app sent, so the log gets its type and place only.
            fault = {"fault": type(error).__name__, "place": place_of(error), "request_id": request.request_id}
            _log.error("api.fault", extra=fault)
            await self._fail(request, send, InternalError("a fault of the sidecar; its log has the request id"))

    async def _fail(self, request: Request, send: Send, error: ApiError) -> None:
        if request.has_begun:
            # The response cannot be taken back; breaking it off is how HTTP/1.1 says that it is not whole.
            raise error
        await send_problem(send, error, request.request_id)


def socket_app(
    core: Core, health: Health, bounds: BodyBounds, draining: asyncio.Event, render: Render, snapshots: SnapshotSource
) -> Application:
    """Everything that co-located apps can call."""
    routes = (
        *producer_routes(ProducerRoutes(core, bounds, draining)),
        *consumer_routes(ConsumerRoutes(core, bounds, draining)),
        *management_routes(ManagementRoutes(core, bounds)),
        *pending_routes(PendingRoutes(core, bounds)),
        *observer_routes(ObserverRoutes(snapshots, bounds, draining)),
        *health_routes(health),
        *metrics_routes(render),
    )

    @functools.cache
    def document() -> bytes:
        return json.dumps(describe((*routes, *descriptions), __version__)).encode()

    async def openapi(request: Request) -> None:
        await request.respond(200, document())

    async def docs(request: Request) -> None:
        await request.respond(200, page(json.loads(document())), ((b"content-type", b"text/html; charset=utf-8"),))

    descriptions = (
        Route(
            "GET", "/openapi.json", openapi, "This document.", gives=((200, JSON_TYPE, models.Described),), problems=()
        ),
        Route("GET", "/docs", docs, "This document to read.", gives=((200, "text/html", None),), problems=()),
    )
    return Application((*routes, *descriptions))


def probe_app(health: Health, render: Render) -> Application:
    """What kubelet and a scraper may ask over TCP: no data, no operation."""
    return Application((*health_routes(health), *metrics_routes(render)))
