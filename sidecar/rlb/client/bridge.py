"""The bridge: an asyncio app's way to its sidecar."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from os import PathLike
from types import TracebackType
from typing import Self

from rlb.client.caller import Inject, caller_context
from rlb.client.consumer_name import consumer_name
from rlb.client.generation import WINDOW_LINES, Generation, Opening
from rlb.client.group_calls import GroupCalls
from rlb.client.pending_calls import PendingCalls
from rlb.client.producer_calls import ProducerCalls
from rlb.client.snapshot_calls import SnapshotCalls
from rlb.client.stream_calls import StreamCalls
from rlb.client.subscription import Subscription
from rlb.client.tail import Tail
from rlb.client.token_channel import TokenChannel
from rlb.domain.draft import Durability
from rlb.domain.entry import Gap
from rlb.domain.message import Role


class Bridge(ProducerCalls, GroupCalls, PendingCalls, StreamCalls, SnapshotCalls):
    """Connections to one sidecar, as an async context manager. One for a process is enough, and belongs to one loop.

    Args:
        socket_path: the sidecar's socket; by default `RLB_SOCKET__PATH`, else where a sidecar listens by default.
        patience_s: how long a sidecar that has answered before may be away, as it is while it restarts, until
            calls, generations, tails and subscriptions give up. One that has never answered is an error at once.
        timeout_s: how long the answer to a call may take.
        ack_timeout_s: how long acks of a generation may stay away until its connection counts as lost. It has to
            be more than the sidecar's own deadline for a write (`RLB_APPEND__DEADLINE_MS`).
        inject: tells the app's trace context by writing it into a dict of headers; for an app with OpenTelemetry it
            is `opentelemetry.propagate.inject`. Each generation, relayed answer and single token that names no
            `traceparent` then belongs to the span in which it was begun.

    Raises:
        SettingsError: `RLB_SOCKET__PATH` is no path of a socket.
    """

    def __init__(
        self,
        socket_path: str | PathLike[str] | None = None,
        *,
        patience_s: float = 30.0,
        timeout_s: float = 15.0,
        ack_timeout_s: float = 15.0,
        inject: Inject | None = None,
    ) -> None:
        super().__init__(socket_path, patience_s=patience_s, timeout_s=timeout_s, inject=inject)
        self._ack_timeout_s = ack_timeout_s
        self._channels: dict[Durability, TokenChannel] = {}
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()
        await self._close()

    def generation(
        self,
        session_id: str,
        model_id: str,
        *,
        role: Role = "assistant",
        temperature: float | None = None,
        max_tokens: int | None = None,
        durability: Durability = "written",
        traceparent: str | None = None,
        requested_at: int | None = None,
        window: int = WINDOW_LINES,
    ) -> Generation:
        """A generation to produce tokens to, as an async context manager.

        Args:
            session_id: with `model_id`, the stream. The generation takes it over from any other writer.
            model_id: the model, as its hub or server names it.
            role: who speaks.
            temperature: sampling temperature, for the messages' metadata.
            max_tokens: the limit that the model was given, for the messages' metadata.
            durability: what an ack is to stand for: `written`, `replicated` or `fsynced`.
            traceparent: the app's span (W3C Trace Context), by default the one that the bridge's `inject` tells.
            requested_at: when the app received the request, Unix ms.
            window: tokens that may wait for their acks until `produce` waits. A larger window than the default needs
                a sidecar that recognises as many repeated messages (`RLB_STREAM__DEDUPE_ENTRIES`).
        """
        tracestate = None
        if traceparent is None and (context := caller_context(self._inject)) is not None:
            traceparent, tracestate = context.traceparent, context.state
        opening = Opening(
            session_id, model_id, role, temperature, max_tokens, durability, traceparent, requested_at, tracestate
        )
        return Generation(opening, self._channel(durability), window)

    def tail(
        self,
        session_id: str,
        model_id: str,
        *,
        start: str = "0",
        wait_s: float = 0.0,
        patience_s: float | None = None,
        on_gap: Callable[[Gap], None] | None = None,
    ) -> Tail:
        """The messages of a stream as they come, up to the end of a generation.

        Args:
            session_id: with `model_id`, the stream.
            model_id: the model.
            start: `0` for everything there is, `$` for what comes from now on, or an entry id to go on behind it.
            wait_s: how long to wait for a stream that does not exist yet.
            patience_s: how long to go without contact to the sidecar, if other than the bridge.
            on_gap: is told of messages that are gone; they are logged and counted in any case.
        """
        return Tail(
            self._transport,
            (session_id, model_id),
            start=start,
            wait_s=wait_s,
            patience_s=patience_s,
            on_gap=on_gap,
        )

    def subscribe(
        self, group: str, *, consumer: str | None = None, model_id: str = "*", max_in_flight: int = 100
    ) -> Subscription:
        """Deliveries from every stream of a model, or of all models, and from new ones as they appear.

        Args:
            group: the consumer group; made on each stream, from its beginning, where it is not there yet.
            consumer: this reader's name in the group; by default `<host name>-<process id>`, see `consumer_name`.
            model_id: the model, or `*`.
            max_in_flight: deliveries without an ack, beyond which the sidecar sends no more.
        """
        taken = {subscription.consumer for subscription in self._subscriptions if subscription.group == group}
        subscription = Subscription(
            self._transport,
            self._settlements,
            group=group,
            consumer=consumer if consumer is not None else consumer_name(taken),
            model_id=model_id,
            max_in_flight=max_in_flight,
        )
        self._subscriptions.add(subscription)
        return subscription

    def _channel(self, durability: Durability) -> TokenChannel:
        channel = self._channels.get(durability)
        if channel is None:
            channel = self._channels[durability] = TokenChannel(self._transport, self._ack_timeout_s)
        return channel
