"""The use cases together, as the API is given them."""

from __future__ import annotations

from dataclasses import dataclass

from rlb.bridge.append import Appender
from rlb.bridge.dead_letters import DeadLetters
from rlb.bridge.durability import DurabilityProbe
from rlb.bridge.groups import Groups
from rlb.bridge.index import StreamIndex
from rlb.bridge.observer import Observer
from rlb.bridge.pending import PendingEntries
from rlb.bridge.reader import SharedReader
from rlb.bridge.streams import Streams
from rlb.bridge.subscribe import Subscription, SubscriptionRequest
from rlb.bridge.tail import Tails
from rlb.domain.keys import Keys
from rlb.domain.stream_key import StreamKey, stream_key
from rlb.redis_io.topology import Topology


@dataclass(frozen=True, slots=True)
class Core:
    """Everything that a call over the socket can ask for."""

    keys: Keys
    topology: Topology
    appender: Appender
    durability: DurabilityProbe
    reader: SharedReader
    tails: Tails
    groups: Groups
    dead_letters: DeadLetters
    pending: PendingEntries
    index: StreamIndex
    streams: Streams
    observer: Observer

    def stream(self, session_id: str, model_id: str) -> StreamKey:
        """The stream of a session and a model; InvalidMessageError if either id breaks its rule."""
        return stream_key(self.keys.prefix, session_id, model_id)

    def keys_in_use(self) -> set[str]:
        """Keys of the streams that apps write or read through this sidecar now."""
        return {*self.appender.keys(), *self.groups.keys(), *self.reader.keys()}

    def subscribe(self, request: SubscriptionRequest) -> Subscription:
        """A subscription; close it."""
        return Subscription(request, self.topology, self.groups, self.reader, self.index)
