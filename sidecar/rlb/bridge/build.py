"""The bridge, put together from the settings."""

from __future__ import annotations

from rlb.bridge.append import AppendBounds, Appender
from rlb.bridge.claim import Limits
from rlb.bridge.core import Core
from rlb.bridge.dead_letters import DeadLetters
from rlb.bridge.durability import DurabilityProbe
from rlb.bridge.group_reader import GroupRules
from rlb.bridge.groups import Groups
from rlb.bridge.index import StreamIndex
from rlb.bridge.inspection import Inspector
from rlb.bridge.observer import NoObserver, Observer
from rlb.bridge.pending import PendingEntries
from rlb.bridge.reader import SharedReader
from rlb.bridge.streams import Streams
from rlb.bridge.tail import Tails
from rlb.bridge.tracer import Tracer
from rlb.domain.keys import Keys
from rlb.redis_io.topology import Topology
from rlb.settings import Settings


def build_core(
    settings: Settings,
    topology: Topology,
    inspector: Inspector,
    observer: Observer | None = None,
    tracer: Tracer | None = None,
) -> Core:
    """The use cases, on connections that may still be down. Call it in a running loop."""
    observer = observer if observer is not None else NoObserver()
    keys = Keys(settings.stream.prefix)
    limits = Limits(settings.stream.max_length, settings.stream.retention_ms)
    tail = settings.tail
    reader = SharedReader(
        topology,
        streams_per_connection=tail.streams_per_connection,
        block_ms=tail.block_ms,
        feed_idle_ms=tail.feed_idle_ms,
    )
    bounds = AppendBounds(
        buffer_bytes=settings.append.buffer_bytes,
        stream_buffer_bytes=settings.append.stream_buffer_bytes,
        deadline_s=settings.append.deadline_ms / 1000,
        renew_s=settings.stream.renew_ms / 1000,
        window=settings.stream.dedupe_entries,
    )
    dead_letters = DeadLetters(topology, keys, settings.groups.dead_letter_max_length, observer)
    rules = GroupRules(
        settings.groups.max_deliveries,
        settings.groups.claim_idle_ms,
        settings.stream.retention_ms,
        dead_letters,
        observer=observer,
        tracer=tracer,
    )
    groups = Groups(topology, reader, rules)
    index = StreamIndex(topology, keys)
    return Core(
        keys=keys,
        topology=topology,
        appender=Appender(topology, keys, limits, bounds, reader.feed, observer, tracer),
        durability=DurabilityProbe(topology, keys),
        reader=reader,
        tails=Tails(topology, reader, keys, tail.queue_bytes),
        groups=groups,
        dead_letters=dead_letters,
        pending=PendingEntries(topology, groups, dead_letters),
        index=index,
        streams=Streams(topology, keys, index, inspector, groups),
        observer=observer,
    )
