"""Schemathesis on the OpenAPI document, through the socket: what the document says is what the sidecar does."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from schemathesis import Case, HookContext, SerializationContext
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from rlb._version import __version__
from rlb.api.openapi import describe
from tests.support.fuzz import IN_TIME, examples
from tests.support.sidecar import RunningSidecar
from tests.support.table import ROUTES

pytestmark = IN_TIME

PATIENCE_S = 15.0
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
KNOWN = {"sessionId": "s-1", "modelId": "org/m:8b", "group": "g", "consumer": "c"}
"""Names that lead somewhere: with made-up ones alone nothing but 404 would ever be seen."""

schema = schemathesis.openapi.from_dict(describe(ROUTES, __version__), config=SchemathesisConfig())
schema.config.update(base_url="http://localhost")


@schemathesis.serializer("application/x-ndjson", "text/event-stream")
def as_text(context: SerializationContext, value: Any) -> bytes:
    """Bodies that the document calls plain text; whatever else is made up for them goes as JSON."""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else json.dumps(value).encode()


class _Connection(HTTPConnection):
    path: Path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(str(self.path))


class UnixSocket(HTTPAdapter):
    """Has `requests` speak through a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        connection = type("Connection", (_Connection,), {"path": path})
        self._pool = type("Pool", (HTTPConnectionPool,), {"ConnectionCls": connection})("localhost")

    def get_connection_with_tls_context(self, *_args: Any, **_options: Any) -> Any:
        return self._pool

    def close(self) -> None:
        self._pool.close()
        super().close()


@pytest.fixture
def through_the_socket(sidecar: RunningSidecar) -> Iterator[requests.Session]:
    """A session, with a stream that is known to the sidecar, complete, and read by a group."""
    with requests.Session() as session:
        session.mount("http://", UnixSocket(sidecar.path))
        stream = {name: KNOWN[name] for name in ("sessionId", "modelId")}
        made = session.put("http://localhost/v1/groups", json=stream | {"group": "g"}, timeout=PATIENCE_S)
        assert made.status_code == 201
        session.post("http://localhost/v1/streams/complete", json=stream, timeout=PATIENCE_S)
        yield session


def lead_somewhere(values: Any, is_known: list[bool]) -> Any:
    if isinstance(values, dict):
        for (name, known), swap in zip(KNOWN.items(), is_known, strict=True):
            if swap and name in values:
                values[name] = known
        # Waits are asked for elsewhere; here they would only take time.
        if isinstance(values.get("blockMs"), int) and values["blockMs"] > 5:
            values["blockMs"] = 5
    return values


def some_known(strategy: Any) -> Any:
    swaps = st.lists(st.booleans() | st.just(True), min_size=len(KNOWN), max_size=len(KNOWN))
    return st.tuples(strategy, swaps).map(lambda pair: lead_somewhere(*pair))


for part in ("body", "query", "path_parameters"):

    @schema.hook(f"before_generate_{part}")
    def with_known_names(context: HookContext, strategy: Any) -> Any:
        return some_known(strategy)


# What does not end has its own tests; a tail ends where its stream is complete.
@schema.exclude(path=["/v1/subscribe", "/v1/snapshot/watch"]).parametrize()
@examples(25)
def test_what_is_described_is_what_is_done(case: Case[Any], through_the_socket: requests.Session) -> None:
    """No call that can be made from the document ends in a fault, or in an answer that the document does not have."""
    if case.path == "/v1/tail" and isinstance(case.query, dict):
        case.query["waitMs"] = 1
        if case.query.get("sessionId") == KNOWN["sessionId"]:
            case.query["from"] = "0"
            case.headers.pop("Last-Event-ID", None)
    response = case.call(session=through_the_socket, timeout=PATIENCE_S)
    case.validate_response(response, checks=CHECKS)
