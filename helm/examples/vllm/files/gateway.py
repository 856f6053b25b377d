"""Passes OpenAI requests on to a model server beside it, and each token of the answers into Redis, by the sidecar.

    POST /v1/chat/completions, /v1/completions    as the model server takes them, with "stream": true or without
        X-Session-Id: chat-42                     the session whose stream gets the answer; by default a new one

Without "stream" the answer is 202 with the session and the model, whose stream any reader may follow as it is written.
With "stream" the caller follows it here, in OpenAI's format; when the caller goes away, the generation goes on.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
import uuid
from collections.abc import AsyncIterator

from aiohttp import ClientConnectionError, ClientError, ClientResponse, ClientSession, ClientTimeout, web
from aiohttp.typedefs import Handler

from rlb import Bridge
from rlb.errors import ApiError, InvalidMessageError, RlbError, StreamGoneError, StreamNotFoundError

UPSTREAM = os.environ.get("UPSTREAM", "http://127.0.0.1:8000")
PORT = int(os.environ.get("PORT", "8080"))
DRAIN_S = float(os.environ.get("DRAIN_SECONDS", "60"))

BRIDGE = web.AppKey("bridge", Bridge)
HTTP = web.AppKey("http", ClientSession)
ANSWERS: web.AppKey[set[asyncio.Task[None]]] = web.AppKey("answers")  # those that are being passed on

_log = logging.getLogger("gateway")


async def complete(request: web.Request) -> web.StreamResponse:
    """Have the model server answer, and pass the answer on for as long as it takes."""
    requested_at = time.time_ns() // 1_000_000
    app, asked = request.app, await request.json()
    if not isinstance(asked, dict) or asked.get("n", 1) != 1:
        raise ValueError("expected an object with one choice (n), as a stream holds one answer at a time")
    session, model = request.headers.get("X-Session-Id") or uuid.uuid4().hex, asked["model"]
    start = await end_of(app[BRIDGE], session, model)
    traced = {name: request.headers[name] for name in ("traceparent", "tracestate") if name in request.headers}
    try:
        answer = await app[HTTP].post(UPSTREAM + request.path, json={**asked, "stream": True}, headers=traced)
    except ClientConnectionError:
        await app[BRIDGE].mark_complete(session, model, "error")
        return web.json_response({"error": {"message": "the model server is away"}}, status=502)
    if answer.status != 200:
        # No answer was begun: who waits for one in the stream is told so, and the caller what the server says.
        await app[BRIDGE].mark_complete(session, model, "error")
        return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)
    relaying = asyncio.create_task(
        relay(app[BRIDGE], answer, (session, model), requested_at, traced.get("traceparent"))
    )
    app[ANSWERS].add(relaying)
    relaying.add_done_callback(app[ANSWERS].discard)
    if asked.get("stream"):
        return await follow(request, session, model, start)
    return web.json_response({"session": session, "model": model}, status=202)


async def end_of(bridge: Bridge, session: str, model: str) -> str:
    """Where the stream ends now: what comes behind it is the new answer."""
    try:
        return (await bridge.stream_info(session, model)).last_generated_id
    except (StreamNotFoundError, StreamGoneError):
        return "0"


async def relay(
    bridge: Bridge, answer: ClientResponse, stream: tuple[str, str], requested_at: int, traceparent: str | None
) -> None:
    """One answer, to its end: with the finish reason that it carries, or with "error" if it breaks off."""
    async with answer:
        try:
            events = answer.content.iter_any()
            await bridge.relay(*stream, events, traceparent=traceparent, requested_at=requested_at)
        except (ClientError, TimeoutError, RlbError) as error:
            _log.warning("the answer for session %s broke off: %s", stream[0], type(error).__name__)


async def follow(request: web.Request, session: str, model: str, start: str) -> web.StreamResponse:
    """The answer for the caller, as it comes to stand in the stream."""
    is_chat = "chat" in request.path
    kind = "chat.completion.chunk" if is_chat else "text_completion"
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Session-Id": session})
    await response.prepare(request)

    async def send(event: object) -> None:
        await response.write(b"data: %b\n\n" % (event if isinstance(event, bytes) else json.dumps(event).encode()))

    try:
        async with request.app[BRIDGE].tail(session, model, start=start, wait_s=DRAIN_S) as tail:
            async for message in tail:
                text = {"delta": {"content": message.token}} if is_chat else {"text": message.token}
                choice = {"index": 0, **text, "finish_reason": message.payload.finish_reason}
                await send({"id": session, "object": kind, "model": model, "choices": [choice]})
        await send(b"[DONE]")
    except RlbError as error:
        await send({"error": {"message": error_text(error)}})
    return response


@web.middleware
async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What is wrong with a request, or away, as an answer."""
    try:
        return await handler(request)
    except (KeyError, ValueError, InvalidMessageError) as error:
        return web.json_response({"error": {"message": f"not understood: {error}"}}, status=400)
    except RlbError as error:
        return web.json_response({"error": {"message": error_text(error)}}, status=503)


def error_text(error: RlbError) -> str:
    """What went wrong with the bridge, in a word."""
    return error.code if isinstance(error, ApiError) else "sidecar_unreachable"


async def readyz(request: web.Request) -> web.Response:
    """Ready when the model server is."""
    try:
        async with request.app[HTTP].get(f"{UPSTREAM}/health", timeout=ClientTimeout(total=2)) as answer:
            return web.Response(status=200 if answer.status == 200 else 503)
    except (ClientError, TimeoutError):
        return web.Response(status=503)


async def livez(_: web.Request) -> web.Response:
    """The loop turns."""
    return web.Response()


async def connected(app: web.Application) -> AsyncIterator[None]:
    """One bridge and one client for the life of the process; at its end, answers under way may finish."""
    async with Bridge() as bridge, ClientSession(timeout=ClientTimeout(total=None, sock_connect=5)) as http:
        app[BRIDGE], app[HTTP] = bridge, http
        answers: set[asyncio.Task[None]] = set()
        app[ANSWERS] = answers
        yield
        if answers:
            await asyncio.wait(answers, timeout=DRAIN_S)


if __name__ == "__main__":
    app = web.Application(middlewares=[refuse], client_max_size=8 * 1024 * 1024)
    app.cleanup_ctx.append(connected)
    app.router.add_post("/v1/chat/completions", complete)
    app.router.add_post("/v1/completions", complete)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/livez", livez)
    web.run_app(app, port=PORT, shutdown_timeout=DRAIN_S / 2, print=None)
