"""The OpenAPI document, made from the table of routes, and a page to read it on."""

from __future__ import annotations

import html
import json
from typing import Any

from pydantic.json_schema import models_json_schema

from rlb.api.models import Problem
from rlb.api.problems import CONTENT_TYPE
from rlb.api.routes import JSON_TYPE, Model, Param, Route
from rlb.errors import BY_CODE

_REF = "#/components/schemas/{model}"
_PROBLEMS = {
    400: "Not what this call takes",
    403: "This user is not let in",
    404: "No such stream or group",
    408: "The body stopped arriving",
    409: "Fenced, not a stream, or a consumer that has something pending",
    410: "The stream has expired or been deleted",
    413: "Too large",
    415: "Another media type",
    429: "Overloaded; see Retry-After",
    500: "A fault of the sidecar; its log has the request id",
    501: "This Redis lacks it",
    503: "Redis unavailable, or draining; see Retry-After",
}
_CODES = {status: sorted(code for code, kind in BY_CODE.items() if kind.status == status) for status in _PROBLEMS}
_ANYWHERE = (400, 403, 429, 500, 503)
"""Problems that do not depend on the call: bytes that are no HTTP, a peer or connection too many, a drain, a fault."""
_DESCRIPTION = (
    "HTTP/1.1 over a Unix socket. Errors are RFC 9457 problem documents with a stable `code`. "
    "A path that is not listed is answered 404 `not_found`, a method that is not 405 `method_not_allowed`."
)


def describe(routes: tuple[Route, ...], version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the socket."""
    models = _models(routes)
    _, schemas = models_json_schema([(model, "validation") for model in models], by_alias=True, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Redis Streams LLM Bridge",
            "version": version,
            "description": _DESCRIPTION,
        },
        "servers": [{"url": "http://localhost"}],
        "paths": paths,
        "components": {"schemas": schemas["$defs"]},
    }


def _models(routes: tuple[Route, ...]) -> list[Model]:
    taken = [model for route in routes for _, model in route.takes]
    given = [model for route in routes for _, _, model in route.gives]
    unique = {model.__name__: model for model in (*taken, *given, Problem) if model is not None}
    return list(unique.values())


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "responses": _responses(route),
    }
    if route.params:
        operation["parameters"] = [_parameter(param) for param in route.params]
    if route.takes:
        content = {media_type: _content(model) for media_type, model in route.takes}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(param: Param) -> dict[str, Any]:
    return {
        "name": param.name,
        "in": param.where,
        "required": param.required,
        "description": param.description,
        "schema": param.schema,
    }


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, media_type, model in route.gives:
        response = responses.setdefault(str(status), {"description": "Done"})
        if media_type:
            response.setdefault("content", {})[media_type] = _content(model)
    for status in sorted({*route.problems, *_ANYWHERE, *((408,) if route.takes else ())}):
        codes = ", ".join(f"`{code}`" for code in _CODES[status])
        response = responses.setdefault(str(status), {"description": f"{_PROBLEMS[status]}: {codes}"})
        response.setdefault("content", {})[CONTENT_TYPE.decode()] = _content(Problem)
    return responses


def _content(model: Model | None) -> dict[str, Any]:
    """A model's place in the document; text formats without one are plain strings."""
    schema = {"$ref": _REF.format(model=model.__name__)} if model is not None else {"type": "string"}
    return {"schema": schema}


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>rlb</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}}
code,pre{{font:13px/1.5 ui-monospace,monospace}}pre{{background:#8881;padding:.7rem;overflow:auto}}
h2{{margin-top:2rem;border-bottom:1px solid #8884}}b{{display:inline-block;min-width:4.5rem}}</style>
<h1>Redis Streams LLM Bridge {version}</h1><p>The same as a document: <code>GET /openapi.json</code></p>{body}</html>
"""


def page(document: dict[str, Any]) -> bytes:
    """The document as one page of HTML that loads nothing from elsewhere: a socket has no network."""
    parts: list[str] = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><b>{method.upper()}</b> <code>{html.escape(path)}</code></h2>")
            parts.append(f"<p>{html.escape(operation['summary'])}</p>")
            rows = [
                f"<li><code>{p['name']}</code> {html.escape(p['description'])}" for p in operation.get("parameters", ())
            ]
            parts.append(f"<ul>{''.join(rows)}</ul>" if rows else "")
            body = operation.get("requestBody", {}).get("content", {}).get(JSON_TYPE)
            if body is not None and "$ref" in body["schema"]:
                name = body["schema"]["$ref"].rpartition("/")[2]
                schema = json.dumps(document["components"]["schemas"][name], indent=2)
                parts.append(f"<details><summary>{name}</summary><pre>{html.escape(schema)}</pre></details>")
    return _PAGE.format(version=html.escape(document["info"]["version"]), body="".join(parts)).encode()
