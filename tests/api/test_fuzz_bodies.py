"""Bodies and lines of every shape: always an answer in time, never a fault, and never a word of what was sent."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rlb.errors import BY_CODE
from tests.api.served import Client, Response
from tests.support.fuzz import IN_TIME, examples
from tests.support.http import STREAM, token
from tests.support.openai_chunks import ROLE, USAGE, chat, text
from tests.support.sidecar import RunningSidecar

pytestmark = IN_TIME

CANARY = "canary 7f3a9c"
"""Stands wherever an app might put a prompt or a secret. With its blank it is no valid id, which may be named."""
PATIENCE_S = 15.0

METADATA = {"timestamp": 1, "sequence": 0, "isComplete": False, "model": CANARY, "temperature": 0.5, "maxTokens": 9}
GROUP = STREAM | {"group": "g"}
VALID: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/tokens"): token(
        CANARY, metadata=METADATA, role="user", messageId="m-1", ref="r", durability="written"
    ),
    ("POST", "/v1/messages"): STREAM
    | {"id": "m-1", "token": CANARY, "metadata": METADATA, "payload": {"content": CANARY, "role": "user"}},
    ("POST", "/v1/streams/complete"): STREAM | {"finishReason": "stop", "messageId": "m-2"},
    ("POST", "/v1/messages/read"): GROUP | {"consumer": "c", "count": 2, "blockMs": 1},
    ("POST", "/v1/messages/ack"): GROUP | {"entryIds": ["1-1", "1-2"]},
    ("POST", "/v1/messages/nack"): GROUP | {"entryIds": ["1-1"], "reason": CANARY},
    ("PUT", "/v1/streams"): STREAM | {"config": {"maxLength": 9, "retentionMs": 9000, "consumerGroup": "g"}},
    ("POST", "/v1/streams/trim"): STREAM | {"maxLength": 5},
    ("PUT", "/v1/groups"): GROUP | {"start": "0"},
    ("POST", "/v1/dead-letters/replay"): {"group": "g", "ids": ["1-1"]},
    ("POST", "/v1/dead-letters/drop"): {"group": "g", "ids": ["1-1"]},
}

strange = st.sampled_from(
    [
        b"null",
        b"true",
        b"-1",
        b"0",
        b"1.5",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"1" + b"0" * 30,
        b"1" + b"0" * 4299,
        b"1" + b"0" * 5000,
        b"18446744073709551616",
        b'""',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\xff\xfe"',
        b'"\xed\xa0\x80"',
        b'"\\u0000\\n\\u2028"',
        b'"\x00"',
        b'"\\x41"',
        b"'x'",
        b"[]",
        b"{}",
        b"[" * 300 + b"]" * 300,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"' + b"x" * 300 + b'"',
        b'"1-1"',
        b'"1-18446744073709551616"',
        b'"$"',
        json.dumps(CANARY).encode(),
        json.dumps([CANARY]).encode(),
        json.dumps({CANARY.replace(" ", "_"): CANARY}).encode(),
    ]
)
small = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just(CANARY),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
fragments = strange | small.map(lambda value: json.dumps(value).encode())


def encoded(members: list[tuple[str, bytes]]) -> bytes:
    return b"{" + b",".join(json.dumps(name).encode() + b":" + value for name, value in members) + b"}"


@st.composite
def mutated(draw: st.DrawFn, valid: dict[str, Any]) -> bytes:
    """A valid object with something done to it: to its members, to those of one member, or to its bytes."""
    members = [(name, json.dumps(value).encode()) for name, value in valid.items()]
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(members) - 1)) if members else 0
        match draw(st.sampled_from(["replace", "inside", "drop", "repeat", "rename", "add"])):
            case "replace" if members:
                members[place] = (members[place][0], draw(fragments))
            case "inside" if members and isinstance(inner := valid.get(members[place][0]), dict) and inner:
                members[place] = (members[place][0], draw(mutated(inner)))
            case "drop" if members:
                members.pop(place)
            case "repeat" if members:
                members.append((members[place][0], draw(fragments)))
            case "rename" if members:
                members[place] = (draw(st.text(max_size=5)), members[place][1])
            case _:
                members.append(
                    (draw(st.sampled_from(["open", "complete", "ref", "other", "__proto__", ""])), draw(fragments))
                )
    body = encoded(members)
    if draw(st.integers(0, 9)) == 0:
        place = draw(st.integers(0, len(body)))
        body = body[:place] + draw(st.binary(max_size=8)) + body[place + draw(st.integers(0, 8)) :]
    return body


def bodies(valid: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Mostly nearly right, now and then anything."""
    near = mutated(valid)
    return near | near | near | st.binary(max_size=40) | fragments


@dataclass
class Line:
    """An open connection to a sidecar, made anew when the sidecar ends it."""

    sidecar: RunningSidecar
    client: Client | None = None

    def ask(self, method: str, path: str, body: bytes, content_type: str = "application/json") -> Response:
        """The answer, which has to come in time."""
        if self.client is None:
            self.client = self.sidecar.connect()
            self.client.socket.settimeout(PATIENCE_S)
        fields = f"Host: rlb\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}"
        self.client.send(f"{method} {path} HTTP/1.1\r\n{fields}\r\n\r\n".encode() + body)
        response = self.client.response()
        if response.headers.get("connection") == "close":
            self.close()
        return response

    def close(self) -> None:
        if self.client is not None:
            self.client.__exit__(None, None, None)
            self.client = None


@pytest.fixture
def line(sidecar: RunningSidecar, caplog: pytest.LogCaptureFixture) -> Iterator[Line]:
    """A connection; afterwards nothing that was sent may be found in the log, at whatever level."""
    caplog.set_level(logging.DEBUG)
    connection = Line(sidecar)
    yield connection
    connection.close()
    said = caplog.text + repr([vars(record) for record in caplog.records])
    assert "canary" not in said
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def check_problem(document: dict[str, Any]) -> None:
    """A code of the contract, other than a fault of the sidecar, and nothing of what was sent."""
    assert document["code"] in BY_CODE
    assert document["code"] != "internal"
    assert "canary" not in document["detail"]


def check_answer(line: Line, method: str, path: str, body: bytes) -> None:
    response = line.ask(method, path, body)
    if response.status < 300:
        assert response.headers["content-type"] == "application/json"
        json.loads(response.body)
    else:
        assert response.status in {400, 404, 409, 410, 413, 501}
        check_problem(response.problem)


@pytest.mark.parametrize("call", VALID, ids=" ".join)
@examples(150)
@given(data=st.data())
def test_any_body(line: Line, call: tuple[str, str], data: st.DataObject) -> None:
    """Every call that takes a body answers any body with its answer or with a problem, and goes on."""
    check_answer(line, *call, data.draw(bodies(VALID[call])))


@pytest.mark.parametrize("call", VALID, ids=" ".join)
def test_valid_bodies_are_valid(line: Line, call: tuple[str, str]) -> None:
    """What is mutated is taken as it stands: otherwise the fuzz would get no further than the first check."""
    line.ask("PUT", "/v1/groups", json.dumps(GROUP).encode())
    assert line.ask(*call, json.dumps(VALID[call]).encode()).status < 300


@pytest.mark.parametrize("call", VALID, ids=" ".join)
def test_what_stands_in_a_members_name_is_not_repeated(line: Line, call: tuple[str, str]) -> None:
    """A misspelt name is told; words that are no name at all may be somebody's prompt."""
    misspelt = line.ask(*call, json.dumps(VALID[call] | {"sesionId": 1}).encode())
    assert "sesionId" in misspelt.problem["detail"]
    check_answer(line, *call, json.dumps(VALID[call] | {CANARY: 1}).encode())


def blank(body: bytes) -> bool:
    return not body.strip()


@pytest.mark.parametrize("path", ["/v1/tokens", "/v1/messages"])
@examples(250)
@given(data=st.data())
def test_any_lines(line: Line, path: str, data: st.DataObject) -> None:
    """Lines of any shape have one answer each, in order: an ack, or an error with a code of the contract."""
    valid = VALID["POST", path]
    numbered = st.integers(0, 9).map(
        lambda number: json.dumps(valid | {"ref": number, "messageId": f"{number}"}).encode()
    )
    kinds = bodies(valid) | numbered | st.sampled_from([b"", b" ", b"\r", json.dumps(valid).encode()])
    body = b"\n".join(data.draw(st.lists(kinds, max_size=8)))
    response = line.ask("POST", path, body, "application/x-ndjson")
    assert (response.status, response.headers["content-type"]) == (200, "application/x-ndjson")
    said = [each for each in body.split(b"\n") if not blank(each)]
    answers = [json.loads(each) for each in response.body.splitlines()]
    assert len(answers) == len(said)
    for each, answer in zip(said, answers, strict=True):
        if re.search(rb'^\{.*"ref": ?([0-9]), ?"messageId": ?"\1"\}$', each):
            assert answer["ref"] == json.loads(each)["ref"]
        if "error" in answer:
            assert set(answer) <= {"ref", "error"}
            check_problem(answer["error"])
        else:
            assert set(answer) <= {"ref", "messageId", "entryId", "sequence", "durability", "duplicate"}
            assert answer["durability"] == "written"


SSE = st.sampled_from([ROLE, USAGE, chat(CANARY), chat("a", finish="stop"), text("b"), b"[DONE]", chat("c", index=1)])


@examples(250)
@given(
    events=st.lists(
        (SSE | fragments | mutated(json.loads(chat(CANARY)))).map(lambda data: b"data: " + data)
        | st.sampled_from([b": ping", b"event: x", b"data:", b"data", b"id: 1"])
        | st.binary(max_size=20),
        max_size=8,
    ),
    end=st.sampled_from([b"\n\n", b"\r\n\r\n", b"\n"]),
)
@example(events=[b"data: " + chat("x", finish="no reason")], end=b"\n\n")
def test_any_event_stream(line: Line, events: list[bytes], end: bytes) -> None:
    """Whatever a server streams, each answer is an ack or an error, and the generation is ended."""
    url = "/v1/tokens?sessionId=s-1&modelId=m"
    response = line.ask("POST", url, end.join(events) + end, "text/event-stream")
    assert response.status == 200
    answers = [json.loads(each) for each in response.body.splitlines()]
    for answer in answers:
        if "error" in answer:
            check_problem(answer["error"])
    acked = [answer["entryId"] for answer in answers if "entryId" in answer]
    assert acked, "the end at least was written"
    tail = line.ask("GET", f"/v1/tail?sessionId=s-1&modelId=m&from={_before(acked[-1])}", b"")
    assert tail.body.endswith(b"event: end\ndata: {}\n\n")


def _before(entry_id: str) -> str:
    ms, _, sequence = entry_id.partition("-")
    return f"{ms}-{int(sequence) - 1}"


@examples(150)
@given(
    path=st.sampled_from(["/v1/tail", "/v1/streams", "/v1/dead-letters", "/readyz", "/v1/streams/s-1/m"]),
    query=st.lists(
        st.tuples(
            st.sampled_from(
                ["sessionId", "modelId", "from", "waitMs", "group", "after", "limit", "sort", "cursor", "redis", "x"]
            ),
            st.sampled_from(
                ["s-1", "m", "0", "$", "1-1", "g", "key", "lag", "%FF", "%00", "%E2%80%A8", "+", "canary%207f3a9c"]
            )
            | st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=5),
        ),
        max_size=6,
    ),
)
def test_any_query(line: Line, path: str, query: list[tuple[str, str]]) -> None:
    """Parameters of any kind, missing and repeated, are answered, or refused without being repeated."""
    query = [(name, value) for name, value in query if name != "waitMs" or value in {"0", "1-1", "m"}]
    response = line.ask("GET", f"{path}?{'&'.join(f'{name}={value}' for name, value in query)}", b"")
    assert response.status in {200, 400, 404, 410}
    if response.status != 200:
        check_problem(response.problem)
