"""What holds for every call: request ids, methods, media types, sizes, queries, and answers without a body."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from rlb.errors import BY_CODE
from tests.support.http import M, S, problem, token
from tests.support.sidecar import RunningSidecar, StartSidecar
from tests.support.table import ROUTES

WITH_BODY = [route for route in ROUTES if route.takes]
STREAMED = [route for route in ROUTES if route.is_streamed and route.method == "GET"]


def name(value: Any) -> str | None:
    return f"{value.method} {value.path}" if hasattr(value, "path") else None


def at(path: str) -> str:
    return path.replace("{sessionId}", S).replace("{modelId}", M)


@pytest.mark.parametrize("given", ["r-1", "!" * 128, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"])
async def test_request_id_is_echoed(http: aiohttp.ClientSession, given: str) -> None:
    """An app's own id of a request comes back with its answer, its problem and its stream."""
    headers = {"X-Request-Id": given}
    for path, status in (("/livez", 200), ("/nowhere", 404), ("/v1/subscribe?group=g&consumer=c", 200)):
        async with http.get(path, headers=headers) as response:
            assert response.status == status
            assert response.headers.getall("X-Request-Id") == [given]
            if status == 404:
                assert (await problem(response, 404, "not_found"))["requestId"] == given


@pytest.mark.parametrize("given", [None, "", "x" * 129, "two words", "höchst"])
async def test_request_id_is_made_where_none_can_be_echoed(http: aiohttp.ClientSession, given: str | None) -> None:
    """Without a usable id each request gets one of its own."""
    headers = {} if given is None else {"X-Request-Id": given}
    made = set()
    for _ in range(2):
        async with http.get("/livez", headers=headers) as response:
            made.add(response.headers["X-Request-Id"])
    assert len(made) == 2
    assert all(len(one) == 32 and one.isalnum() for one in made)


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/tokens/", "/V1/TOKENS", "/v1/streams/", "/v1/streams/only-a-session"]
)
async def test_unknown_paths(http: aiohttp.ClientSession, path: str) -> None:
    """A path that is none of the table's is a problem of its own, whatever the method."""
    for method in ("GET", "DELETE"):
        async with http.request(method, path) as response:
            await problem(response, 404, "not_found")


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_unknown_methods(http: aiohttp.ClientSession, route: Any) -> None:
    """A path that is known tells which methods it takes, in the header (RFC 9110, section 15.5.6) and in words."""
    async with http.request("PATCH", at(route.path)) as response:
        document = await problem(response, 405, "method_not_allowed")
        assert route.method in response.headers["Allow"].split(", ")
        assert document["allow"] == response.headers["Allow"].split(", ")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz", "/openapi.json", "/docs", "/v1/streams"])
async def test_head_is_get_without_the_body(http: aiohttp.ClientSession, path: str) -> None:
    """HEAD answers with GET's status and headers, and nothing behind them."""
    async with http.get(path) as got, http.head(path) as head:
        assert (head.status, await head.read()) == (got.status, b"")
        for header in ("Content-Type", "Content-Length"):
            assert head.headers[header] == got.headers[header]


@pytest.mark.parametrize("route", STREAMED, ids=name)
async def test_head_takes_nothing_from_a_stream(http: aiohttp.ClientSession, route: Any) -> None:
    """HEAD on an endless answer would hold the connection and consume what a group hands out: it is refused."""
    params = {"sessionId": S, "modelId": M, "group": "g", "consumer": "c"}
    async with http.head(route.path, params=params) as response:
        assert response.status == 405
        assert "HEAD" not in response.headers["Allow"]


@pytest.mark.parametrize("route", WITH_BODY, ids=name)
async def test_other_media_types_are_refused(http: aiohttp.ClientSession, route: Any) -> None:
    """A body that says it is something else is not guessed at."""
    async with http.request(route.method, route.path, data=b"{}", headers={"Content-Type": "text/plain"}) as response:
        await problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("route", WITH_BODY, ids=name)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"a":1}x', "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b"[]", "invalid_message"),
        (b"null", "invalid_message"),
        (b"{}", "invalid_message"),
    ],
    ids=["empty", "half", "more-behind", "no-utf8", "deep", "list", "null", "no-members"],
)
async def test_bodies_that_are_none(http: aiohttp.ClientSession, route: Any, body: bytes, code: str) -> None:
    """What is no JSON, and what is JSON but not the object of the call, have codes of their own."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    async with http.request(route.method, route.path, data=body, headers=headers) as response:
        await problem(response, 400, code)


async def test_a_body_without_a_type_is_json(http: aiohttp.ClientSession) -> None:
    """An app that names no Content-Type means JSON."""
    body, headers = json.dumps(token()).encode(), {"X-Request-Id": "r"}
    async with http.post("/v1/tokens", data=body, headers=headers, skip_auto_headers=["Content-Type"]) as response:
        assert response.status == 201


@pytest.mark.parametrize("route", WITH_BODY, ids=name)
async def test_bodies_over_the_limit(start_sidecar: StartSidecar, route: Any) -> None:
    """A body over its limit is refused with 413, and the connection serves on."""
    sidecar = start_sidecar(
        socket={"max_message_bytes": 1024, "max_body_bytes": 2048}, append={"stream_buffer_bytes": 1024 * 1024}
    )
    with sidecar.connect() as client:
        for size in (2049, 1_000_000):
            head = f"{route.method} {route.path} HTTP/1.1\r\nHost: rlb\r\nContent-Length: {size}\r\n\r\n"
            client.send(head.encode() + b"x" * size)
            response = client.response()
            assert (response.status, response.problem["code"]) == (413, "too_large")
        client.get("/livez")
        assert client.response().status == 200


async def test_too_many_parameters(http: aiohttp.ClientSession) -> None:
    """A query with more parameters than any call has is refused, not a fault of the sidecar."""
    query = "&".join(f"p{number}=1" for number in range(101))
    async with http.get(f"/v1/streams?{query}") as response:
        await problem(response, 400, "invalid_message")


def test_no_content_has_no_length(sidecar: RunningSidecar) -> None:
    """A 204 has neither body nor length (RFC 9110, section 8.6), and the connection goes on behind it."""
    with sidecar.connect() as client:
        body = json.dumps({"sessionId": S, "modelId": "m"}).encode()
        client.send(b"PUT /v1/streams HTTP/1.1\r\nHost: rlb\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        assert client.response().status == 201
        client.send(f"DELETE /v1/streams/{S}/m HTTP/1.1\r\nHost: rlb\r\n\r\n".encode())
        head = client.receive_until(b"\r\n\r\n").lower()
        assert head.startswith(b"http/1.1 204 ")
        assert b"content-length" not in head
        assert b"transfer-encoding" not in head
        client.get("/livez")
        assert client.response().status == 200


def test_codes_have_one_class_each() -> None:
    """A code names one status and one title, so that clients may catch by it."""
    assert all(kind.code == code for code, kind in BY_CODE.items())
    assert all(400 <= kind.status <= 599 for kind in BY_CODE.values())
