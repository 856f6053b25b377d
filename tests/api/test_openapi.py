"""The description of the API: a valid OpenAPI document in which every call and every code has its place."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import jsonschema_rs
import pytest
import schemathesis

from rlb._version import __version__
from rlb.api.openapi import describe, page
from rlb.api.routes import Route
from rlb.errors import BY_CODE
from tests.support.table import ROUTES

ELSEWHERE = {"not_found", "method_not_allowed"}
"""Codes of what is not in the table, and so in no operation of it."""
DOCUMENT = describe(ROUTES, __version__)
OPERATIONS = {(method.upper(), path): op for path, ops in DOCUMENT["paths"].items() for method, op in ops.items()}


def references(part: Any) -> set[str]:
    if isinstance(part, dict):
        found = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return found.union(*map(references, part.values()))
    return set().union(*map(references, part)) if isinstance(part, list) else set()


def test_the_document_is_valid() -> None:
    """It follows the schema of OpenAPI 3.1, and each schema in it that of JSON Schema 2020-12."""
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    for name, schema in DOCUMENT["components"]["schemas"].items():
        whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        assert jsonschema_rs.meta.is_valid(whole), name


def test_every_reference_leads_somewhere() -> None:
    """Nothing is referred to that is not there, and nothing is there that is not referred to."""
    names = {reference.removeprefix("#/components/schemas/") for reference in references(DOCUMENT)}
    assert names == set(DOCUMENT["components"]["schemas"])


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_described(route: Route) -> None:
    """Method, path, parameters, bodies and answers of each row of the table are in the document."""
    operation = OPERATIONS[route.method, route.path]
    assert operation["summary"]
    assert {(param["name"], param["in"]) for param in operation.get("parameters", ())} == {
        (param.name, param.where) for param in route.params
    }
    assert set(operation.get("requestBody", {}).get("content", {})) == {media_type for media_type, _ in route.takes}
    for status, media_type, _ in route.gives:
        answer = operation["responses"][str(status)]
        assert not media_type or media_type in answer["content"]
    for status in route.problems:
        assert "application/problem+json" in operation["responses"][str(status)]["content"]
    in_path = {param["name"] for param in operation.get("parameters", ()) if param["in"] == "path"}
    assert all(f"{{{name}}}" in route.path for name in in_path)
    assert route.path.count("{") == len(in_path)


def test_nothing_else_is_described() -> None:
    """The document has no call that the table lacks, and no two calls of one name."""
    assert set(OPERATIONS) == {(route.method, route.path) for route in ROUTES}
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("code", sorted(BY_CODE))
def test_every_code_is_described(code: str) -> None:
    """Each code is one that a problem and a line's error may have, and is named where it can come."""
    schemas = DOCUMENT["components"]["schemas"]
    assert code in schemas["Problem"]["properties"]["code"]["enum"]
    assert code in schemas["LineError"]["properties"]["code"]["enum"]
    if code in ELSEWHERE:
        assert f"`{code}`" in DOCUMENT["info"]["description"]
        return
    status = str(BY_CODE[code].status)
    told = [op["responses"][status]["description"] for op in OPERATIONS.values() if status in op["responses"]]
    assert any(f"`{code}`" in description for description in told)


def test_health_answers_have_two_shapes_at_503() -> None:
    """A probe that is told no, and one that is turned away at the door, have the same status and different bodies."""
    assert set(OPERATIONS["GET", "/readyz"]["responses"]["503"]["content"]) == {
        "application/json",
        "application/problem+json",
    }


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """The page to read names every call, and loads neither script nor style nor font: a socket has no network."""
    html = page(DOCUMENT).decode()
    assert all(f"<b>{method}</b> <code>{path}</code>" in html for method, path in OPERATIONS)
    assert not any(sign in html for sign in ("<script", "<link", "<img", "src=", "@import", "https://", "url("))


async def test_both_are_served(http: aiohttp.ClientSession) -> None:
    """`/openapi.json` is the document, `/docs` the page."""
    async with http.get("/openapi.json") as response:
        assert (response.status, response.content_type) == (200, "application/json")
        assert await response.json() == json.loads(json.dumps(DOCUMENT))
    async with http.get("/docs") as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert await response.read() == page(DOCUMENT)
