"""The producer's calls: one message a request, and an answer relayed as a model server streams it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from rlb.client.answers import Ack, ack_from_wire
from rlb.client.caller import caller_context
from rlb.client.connection import Connection
from rlb.client.transport import LinkError
from rlb.domain.draft import Durability, new_message_id
from rlb.domain.message import Role, StreamMessage
from rlb.errors import from_problem


@dataclass(frozen=True, slots=True)
class Relayed:
    """How many messages an answer made, and the ack of the last one; None if there was none."""

    messages: int
    last_ack: Ack | None


class ProducerCalls(Connection):
    """The producer half of a bridge.

    Raises:
        ApiError: the sidecar refused; the subclass says why.
        SidecarUnreachableError: no sidecar answers.
    """

    async def produce_token(
        self,
        session_id: str,
        model_id: str,
        token: str,
        *,
        role: Role = "assistant",
        temperature: float | None = None,
        max_tokens: int | None = None,
        message_id: str | None = None,
        durability: Durability = "written",
        traceparent: str | None = None,
        requested_at: int | None = None,
    ) -> Ack:
        """Write one token (produceToken); `generation` is the fast way to write many.

        A repeated call with the same `message_id` gives the entry that the first one made. `requested_at` is Unix
        time in ms. `traceparent` is the app's span, by default the one that the bridge's `inject` tells.
        """
        context = caller_context(self._inject) if traceparent is None else None
        sampling = {"temperature": temperature, "maxTokens": max_tokens}
        body = {
            "sessionId": session_id,
            "modelId": model_id,
            "token": token,
            "role": role,
            # Always one, so that the request may be repeated when its answer is lost.
            "messageId": message_id if message_id is not None else new_message_id(),
            "durability": durability,
            "metadata": _given(sampling) or None,
            "traceparent": context.traceparent if context is not None else traceparent,
            "tracestate": context.state if context is not None else None,
            "requestedAt": requested_at,
        }
        return ack_from_wire(await self._transport.call("POST", "/v1/tokens", _given(body)))

    async def mark_complete(
        self,
        session_id: str,
        model_id: str,
        finish_reason: str = "stop",
        *,
        message_id: str | None = None,
        durability: Durability = "written",
    ) -> Ack:
        """End the generation with an empty last message (markStreamComplete)."""
        body = {
            "sessionId": session_id,
            "modelId": model_id,
            "finishReason": finish_reason,
            "messageId": message_id if message_id is not None else new_message_id(),
            "durability": durability,
        }
        return ack_from_wire(await self._transport.call("POST", "/v1/streams/complete", body))

    async def add_message(self, message: StreamMessage, *, durability: Durability = "written") -> Ack:
        """Write a whole message (addMessage). Its `id` is its message id; its sequence is assigned anew."""
        body = message.model_dump(mode="json", by_alias=True, exclude_none=True)
        return ack_from_wire(await self._transport.call("POST", "/v1/messages", {**body, "durability": durability}))

    async def relay(
        self,
        session_id: str,
        model_id: str,
        events: AsyncIterable[bytes],
        *,
        traceparent: str | None = None,
        requested_at: int | None = None,
    ) -> Relayed:
        """Pass on an answer in the OpenAI streaming format, as a server such as vLLM sends it, bytes as they come.

        The generation is completed with the finish reason that the answer carries, or with "error" if it breaks off.
        It cannot be sent again: a lost connection is an error. `traceparent` is the app's span, by default the one
        that the bridge's `inject` tells. `requested_at` is when the app received the request, Unix ms.

        Raises:
            Exception: whatever `events` raises.
        """
        failures: list[Exception] = []
        headers = {"Content-Type": "text/event-stream"}
        if traceparent is not None:
            headers["traceparent"] = traceparent
        elif (context := caller_context(self._inject)) is not None:
            headers["traceparent"] = context.traceparent
            if context.state is not None:
                headers["tracestate"] = context.state
        params = {"sessionId": session_id, "modelId": model_id}
        if requested_at is not None:
            params["requestedAt"] = str(requested_at)
        messages, last = 0, None
        try:
            async with asyncio.timeout(None) as deadline:
                body = _noting(events, failures, deadline)
                async with self._transport.stream(
                    "POST", "/v1/tokens", params=params, headers=headers, body=body
                ) as lines:
                    while (batch := await lines.next()) is not None:
                        for line in batch:
                            members = from_json(line)
                            if "error" in members:
                                raise from_problem(members["error"])
                            messages, last = messages + 1, members
        except (LinkError, TimeoutError):
            if failures:
                raise failures[0] from None
            raise
        return Relayed(messages, None if last is None else ack_from_wire(last))


async def _noting(
    events: AsyncIterable[bytes], failures: list[Exception], deadline: asyncio.Timeout
) -> AsyncGenerator[bytes, None]:
    """The events. The transport would keep their failure to itself while it waits for an answer, so that ends now."""
    try:
        async for piece in events:
            yield piece
    except Exception as error:
        failures.append(error)
        deadline.reschedule(asyncio.get_running_loop().time())
        raise


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
