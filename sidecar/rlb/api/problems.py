"""Problem documents (RFC 9457): the one shape of every error that leaves the socket."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from typing import Any

from rlb.errors import ApiError

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

TYPE_PREFIX = "urn:rlb:problem:"
CONTENT_TYPE = b"application/problem+json"


def problem_body(error: ApiError, request_id: str | None) -> bytes:
    """The document of `error`. Its extension members come along, but never in place of a standard one."""
    document = {
        **error.members,
        "type": TYPE_PREFIX + error.code,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "requestId": request_id,
    }
    return json.dumps(document, separators=(",", ":")).encode("ascii") + b"\n"


def problem_headers(error: ApiError) -> list[Header]:
    """What must be said in the header of the answer, besides its length."""
    headers = [(b"content-type", CONTENT_TYPE)]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
    if (methods := error.members.get("allow")) is not None:
        headers.append((b"allow", ", ".join(methods).encode("ascii")))
    return headers


async def send_problem(
    send: Send, error: ApiError, request_id: str | None = None, *, headers: Iterable[Header] = ()
) -> None:
    """Answer an ASGI request, whose response has not begun, with the document of `error`."""
    body = problem_body(error, request_id)
    head = [*problem_headers(error), (b"content-length", b"%d" % len(body)), *headers]
    if request_id is not None:
        head.append((b"x-request-id", request_id.encode("latin-1", "replace")))
    await send({"type": "http.response.start", "status": error.status, "headers": head})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def problem_response(error: ApiError) -> bytes:
    """A whole HTTP/1.1 response for a connection that ends with it: no request was read that could have an id."""
    body = problem_body(error, None)
    head = [*problem_headers(error), (b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    status = b"HTTP/1.1 %d %s\r\n" % (error.status, HTTPStatus(error.status).phrase.encode("ascii"))
    return b"".join([status, *(b"%s: %s\r\n" % pair for pair in head), b"\r\n", body])
