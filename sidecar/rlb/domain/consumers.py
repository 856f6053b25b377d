"""Consumers: which of a group's consumers are at work, which wait, and which have gone.

| XINFO CONSUMERS | `idle` is the time since        | `inactive` is the time since                   |
|-----------------|---------------------------------|------------------------------------------------|
| Redis < 7.2     | its last successful interaction | (not told)                                     |
| Redis >= 7.2    | its last attempt                | its last successful interaction, -1 if there   |
| Valkey          |                                 | was none                                       |

So below 7.2 a consumer that waits on a quiet stream cannot be told from one that has gone, and from 7.2 on one that
blocks for ever looks as if its last attempt were its last sign of life: block for less than the dead time.

| state  | from 7.2 on                                | below 7.2                                   |
|--------|--------------------------------------------|---------------------------------------------|
| active | was handed something within the window     | the same                                    |
| idle   | was not, but has called in the dead time   | was handed something within the dead time   |
| dead   | has not called for the dead time           | was not handed anything for the dead time   |
"""

from __future__ import annotations

from rlb.domain.stream_facts import ConsumerFacts
from rlb.domain.stream_info import ConsumerState


def consumer_state(consumer: ConsumerFacts, *, active_s: float, dead_s: float) -> ConsumerState:
    """What a consumer is up to; `active_s` is the window, `dead_s` the time without a call that ends it."""
    if consumer.idle_ms >= dead_s * 1000:
        return "dead"
    if consumer.never_read:
        return "idle"
    since_read_ms = consumer.inactive_ms if consumer.inactive_ms is not None else consumer.idle_ms
    return "active" if since_read_ms < active_s * 1000 else "idle"


def is_calling(consumer: ConsumerFacts, *, within_s: float) -> bool:
    """Whether it has called within so many seconds, with or without success (below 7.2: with success)."""
    return consumer.idle_ms < within_s * 1000
