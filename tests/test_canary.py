"""What users write and operators keep secret is in no log line, metric, span, error or snapshot: words are planted.

Each kind of secret has a word of its own, so that a leak says what leaked. The sidecar is a process with its log at
`debug`, every generation traced, and all streams polled, through good times and bad.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import OwnServer
from tests.servers.kinds import VALKEY_9
from tests.servers.process import RedisServer
from tests.support.http import NDJSON, lines, session
from tests.support.otlp import Collector
from tests.support.process import SidecarProcess
from tests.support.started import free_port

TOKEN, PROMPT, FOREIGN = "kanariToken", "kanariPrompt", "kanariForeign"
UNKNOWN, BROKEN, REASON = "kanariUnknown", "kanariBroken", "kanariReason"
PASSWORD, OTHER_PASSWORD = "kanariPassword", "kanariOther"
WORDS = (TOKEN, PROMPT, FOREIGN, UNKNOWN, BROKEN, REASON, PASSWORD, OTHER_PASSWORD)
STREAM = {"sessionId": "s-1", "modelId": "m"}
GROUP = STREAM | {"group": "g"}
TRACED = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
PATIENCE_S = 30.0


def leaked(said: str | bytes) -> list[str]:
    """The planted words in what was said."""
    raw = said.encode() if isinstance(said, str) else said
    return [word for word in WORDS if word.lower().encode() in raw.lower()]


class Talk:
    """An app's talk with the sidecar; whatever is neither a delivery nor an accepted write must be free of words."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self.refusals = 0

    async def send(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The document that answers, None if there is none; a problem is checked."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        headers = {"content-type": "application/json", **TRACED, **more.pop("headers", {})}
        async with self._http.request(method, path, data=data, headers=headers, **more) as response:
            said = await response.read()
            if response.status >= 400:
                self.refusals += 1
                assert not leaked(said), (path, said)
                assert not leaked(repr(dict(response.headers))), path
                return None
            return said

    async def shown(self) -> None:
        """What the sidecar shows of itself."""
        for path in ("/metrics", "/healthz", "/readyz?redis=1", "/v1/snapshot", "/v1/streams", "/v1/groups?group=g"):
            async with self._http.get(path) as response:
                said = await response.read()
                assert not leaked(said), path


async def _write(talk: Talk) -> None:
    """Tokens and whole messages, by every way in."""
    metadata = {"timestamp": 1, "sequence": 0, "isComplete": False, "model": "m"}
    assert await talk.send("POST", "/v1/tokens", STREAM | {"token": TOKEN, "metadata": metadata})
    message = {"id": "x-1", "token": PROMPT, "metadata": metadata, "payload": {"content": PROMPT, "role": "user"}}
    assert await talk.send("POST", "/v1/messages", STREAM | message)
    many = lines([STREAM | {"token": f"{TOKEN} {number}"} for number in range(20)])
    assert await talk.send("POST", "/v1/tokens", many, headers={"content-type": NDJSON})
    assert await talk.send("POST", "/v1/streams/complete", STREAM | {"finishReason": "stop"})


async def _read(talk: Talk) -> None:
    """Deliveries, acknowledgements, refusals of them, dead letters."""
    await talk.send("PUT", "/v1/groups", GROUP | {"start": "0"})
    for _ in range(3):
        said = await talk.send("POST", "/v1/messages/read", GROUP | {"consumer": "c", "count": 5, "blockMs": 1})
        document = json.loads(said)
        assert leaked(said), "what is read is what was written"
        ids = [each["entryId"] for each in document["messages"]]
        await talk.send("POST", "/v1/messages/ack", GROUP | {"entryIds": ids[:2]})
        await talk.send("POST", "/v1/messages/nack", GROUP | {"entryIds": ids[2:], "reason": REASON})
    await talk.send("POST", "/v1/dead-letters/replay", {"group": "g", "ids": ["1-1"]})


async def _err(talk: Talk) -> None:
    """Everything that an app can get wrong with a secret in its hands."""
    before = talk.refusals
    await talk.send("POST", "/v1/tokens", STREAM | {"token": TOKEN, "unknown": UNKNOWN})
    await talk.send("POST", "/v1/tokens", STREAM | {"token": {"content": TOKEN}})
    await talk.send("POST", "/v1/tokens", f'{{"token": "{BROKEN}'.encode())
    await talk.send("POST", "/v1/tokens", {"sessionId": f"{UNKNOWN} {BROKEN}", "modelId": "m", "token": TOKEN})
    await talk.send(
        "POST", "/v1/messages", STREAM | {"id": "x", "token": PROMPT, "metadata": PROMPT, "payload": PROMPT}
    )
    await talk.send("POST", "/v1/tokens", STREAM | {"token": TOKEN * 10_000})
    await talk.send("POST", "/v1/messages/read", GROUP | {"consumer": "c", "count": UNKNOWN})
    await talk.send("GET", f"/v1/{UNKNOWN}")
    assert talk.refusals - before == 8
    said = await talk.send(
        "POST",
        "/v1/tokens",
        lines(
            [
                STREAM | {"token": TOKEN, "unknown": UNKNOWN},
                f'{{"token": "{BROKEN}'.encode(),
                STREAM | {"token": [PROMPT]},
            ]
        ),
        headers={"content-type": NDJSON},
    )
    assert b"error" in said
    assert not leaked(said)


def _foreign(server: RedisServer) -> None:
    """Entries that somebody else has written, to streams of rlb and to a key of another type."""
    for key in ("llm:stream:s-1:m", "llm:stream:s-2:m"):
        server.command("XADD", key, "*", "data", f'{{"token": "{FOREIGN}"}}', FOREIGN, FOREIGN)
        server.command("XADD", key, "*", FOREIGN, FOREIGN)
    server.command("SET", "llm:stream:s-3:m", FOREIGN)


async def _up(http: aiohttp.ClientSession) -> None:
    """Wait until all is well, but for the writes, of which the next one will tell."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with http.get("/healthz") as response:
                components = (await response.json())["components"]
            if all(each["state"] == "up" for each in components if each["name"] != "writes"):
                return
            await asyncio.sleep(0.05)


@pytest.mark.timeout(120)
async def test_planted_words_are_nowhere(short_tmp: Path, own_server: OwnServer) -> None:
    """Through writes, reads, mistakes, polls, a refused sign-in, a Redis that goes, and the end."""
    user = "~* &* +@all"
    server = own_server(VALKEY_9, config=(f"user app on >{PASSWORD} {user}",), tcp=True)
    with Collector() as collector:
        sidecar = SidecarProcess(
            short_tmp / "rlb",
            server.tcp_url.replace("redis://", f"redis://app:{PASSWORD}@"),
            **collector.environment,
            OTEL_TRACES_SAMPLER="always_on",
            OTEL_METRIC_EXPORT_INTERVAL="200",
            RLB_METRICS__PORT=str(free_port()),
            RLB_MONITOR__SCOPE="all",
            RLB_MONITOR__INTERVAL_SECONDS="0.1",
            RLB_MONITOR__TOP_STREAMS="5",
            RLB_APPEND__DEADLINE_MS="2500",
            RLB_SOCKET__MAX_MESSAGE_BYTES="65536",
            RLB_REDIS__AUTH_RETRY_S="0.2",
        )
        with sidecar:
            sidecar.listening()
            async with session(sidecar.path) as http:
                talk = Talk(http)
                await _up(http)
                await _write(talk)
                _foreign(server)
                await _read(talk)
                await _err(talk)
                await asyncio.sleep(0.5)
                await talk.shown()
                # Another password, of which the sidecar does not know.
                server.command("ACL", "SETUSER", "app", "resetpass", f">{OTHER_PASSWORD}")
                server.command("CLIENT", "KILL", "USER", "app")
                await _err(talk)
                refused = talk.refusals
                await talk.send("POST", "/v1/tokens", STREAM | {"token": TOKEN})
                assert talk.refusals == refused + 1
                await talk.shown()
                server.command("ACL", "SETUSER", "app", f">{PASSWORD}")
                await _up(http)
                await _write(talk)
                server.kill()
                refused = talk.refusals
                await talk.send("POST", "/v1/tokens", STREAM | {"token": TOKEN})
                assert talk.refusals == refused + 1
                await talk.shown()
            sidecar.process.terminate()
            sidecar.ended()
        assert collector.spans
        assert collector.metrics
        sent = [request.SerializeToString() for request in (*collector.traces, *collector.metric_requests)]
        assert not [found for request in sent if (found := leaked(request))]
        assert sidecar.events("link.down"), "the log was looked at while something happened"
        assert not leaked(sidecar.log), [line for line in sidecar.log.splitlines() if leaked(line)]
