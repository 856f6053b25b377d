"""Problem documents: members, headers and bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rlb.api.problems import problem_body, problem_headers, problem_response, send_problem
from rlb.errors import BY_CODE, ApiError, OverloadedError, StreamGoneError


@pytest.mark.parametrize("kind", BY_CODE.values(), ids=BY_CODE.keys())
def test_every_error_has_a_document(kind: type[ApiError]) -> None:
    """Each code makes a document with all members of RFC 9457 and ours, and a status that HTTP knows."""
    assert json.loads(problem_body(kind("what happened"), "r-1")) == {
        "type": f"urn:rlb:problem:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": "what happened",
        "code": kind.code,
        "requestId": "r-1",
    }
    assert problem_response(kind("what happened")).startswith(b"HTTP/1.1 %d " % kind.status)


def test_extension_members() -> None:
    """What an error adds comes along, but cannot pass for a member that clients rely on."""
    document = json.loads(problem_body(StreamGoneError("expired", key="llm:stream:s:m", code="fine", status=200), None))
    assert document["key"] == "llm:stream:s:m"
    assert (document["code"], document["status"], document["requestId"]) == ("stream_gone", 410, None)


def test_retry_after() -> None:
    """Only an error that knows when to come back says so."""
    assert problem_headers(OverloadedError("full")) == [
        (b"content-type", b"application/problem+json"),
        (b"retry-after", b"1"),
    ]
    assert problem_headers(StreamGoneError("gone")) == [(b"content-type", b"application/problem+json")]


async def test_send_problem() -> None:
    """An ASGI answer has its exact length, the id of its request, and what the caller adds."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await send_problem(send, OverloadedError("voll für heute"), "r-é-→", headers=[(b"allow", b"GET")])
    start, body = sent
    headers = dict(start["headers"])
    assert (start["type"], start["status"]) == ("http.response.start", 429)
    assert headers[b"content-length"] == b"%d" % len(body["body"])
    assert headers[b"x-request-id"] == "r-é-?".encode("latin-1")
    assert headers[b"allow"] == b"GET"
    assert (body["type"], body["more_body"]) == ("http.response.body", False)
    assert json.loads(body["body"])["detail"] == "voll für heute"


def test_response_for_a_connection_that_ends() -> None:
    """Without a request there is no id, and the response says that the connection ends."""
    head, body = problem_response(OverloadedError("full")).split(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 429 Too Many Requests",
        b"content-type: application/problem+json",
        b"retry-after: 1",
        b"content-length: %d" % len(body),
        b"connection: close",
    ]
    assert json.loads(body)["requestId"] is None
