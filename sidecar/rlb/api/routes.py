"""The table of calls: path and method to handler, with what the description needs to know of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from rlb.api.request import Request
from rlb.domain.draft import refusal
from rlb.errors import MethodNotAllowedError, NotFoundError, UnsupportedMediaTypeError

Handler = Callable[[Request], Awaitable[None]]
Model = type[BaseModel]

JSON_TYPE = "application/json"
NDJSON_TYPE = "application/x-ndjson"
SSE_TYPE = "text/event-stream"


@dataclass(frozen=True, slots=True)
class BodyBounds:
    """Sizes in bytes and waits in seconds for what comes in."""

    max_message_bytes: int
    max_body_bytes: int
    timeout_s: float
    stall_s: float
    """How long an answer may go unread before the connection is dropped."""


@dataclass(frozen=True, slots=True)
class Param:
    """A query or path parameter; `schema` is JSON Schema."""

    name: str
    schema: dict[str, object]
    description: str
    required: bool = False
    where: str = "query"


@dataclass(frozen=True, slots=True)
class Route:
    """One call. `takes` and `gives` are models by media type; `gives` is keyed by status too."""

    method: str
    path: str
    handler: Handler
    summary: str
    takes: tuple[tuple[str, Model | None], ...] = ()
    gives: tuple[tuple[int, str, Model | None], ...] = ()
    params: tuple[Param, ...] = ()
    problems: tuple[int, ...] = (400,)

    @property
    def is_streamed(self) -> bool:
        """Whether the answer may go on for as long as the connection."""
        return any(media_type in (NDJSON_TYPE, SSE_TYPE) for _, media_type, _ in self.gives)

    @property
    def prefix(self) -> str | None:
        """For a path that ends in parameters, what comes before them."""
        head, brace, _ = self.path.partition("{")
        return head if brace else None


class Router:
    """Finds the handler for a request."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self.routes = routes
        self._exact: dict[str, dict[str, Handler]] = {}
        self._below: dict[str, dict[str, Handler]] = {}
        for route in routes:
            table, path = (self._exact, route.path) if route.prefix is None else (self._below, route.prefix)
            methods = table.setdefault(path, {})
            methods[route.method] = route.handler
            # An endless answer has no head of its own: it would hold the connection, and take what groups hand out.
            if route.method == "GET" and not route.is_streamed:
                methods["HEAD"] = route.handler

    def find(self, method: str, path: str) -> Handler:
        """The handler; HEAD finds that of a GET that ends.

        Raises:
            NotFoundError, MethodNotAllowedError: there is none.
        """
        methods = self._exact.get(path)
        if methods is None:
            methods = next((table for prefix, table in self._below.items() if path.startswith(prefix)), None)
        if methods is None:
            raise NotFoundError("no such path")
        handler = methods.get(method)
        if handler is None:
            allowed = sorted(methods)
            raise MethodNotAllowedError(f"expected {', '.join(allowed)}", allow=allowed)
        return handler


BodyT = TypeVar("BodyT", bound=BaseModel)


async def read_json(request: Request, kind: type[BodyT], bounds: BodyBounds) -> BodyT:
    """The body as a model.

    Raises:
        ApiError: it is of another type, too large, not JSON, or not what the model takes.
    """
    if request.media_type not in (JSON_TYPE, ""):
        raise UnsupportedMediaTypeError(f"expected {JSON_TYPE}")
    body = await request.body(bounds.max_body_bytes, bounds.timeout_s)
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise refusal(error) from None


def as_json(model: BaseModel) -> bytes:
    """A model as a body: camelCase, nulls kept, and a line end for those who read it in a terminal."""
    return model.model_dump_json(by_alias=True).encode() + b"\n"
