"""Pictures of a service in trouble, for the snapshot tests: everything that can be told is told of some group."""

from __future__ import annotations

from collections.abc import Iterator

from rlb.domain.snapshot import Snapshot
from tests.support.scripted_source import AT, ScriptedSource, consumer, generation, group, snapshot, stream

WORST_FIRST = [
    "billing on chat-7f3a",
    "audit on batch-03",
    "archive on chat-7f3a",
    "search on chat-b2d4",
    "app on chat-b2d4",
    "app on chat-7f3a",
    "app on chat-91c0",
    "billing on chat-91c0",
    "draft-11",
]
"""The rows of `losing`, as `keys_of` tells them."""


def losing(second: int) -> Snapshot:
    """A group whose consumer has died: its lag grows, and in the end entries are removed unread."""
    behind_s = 4.0 * second
    lost = max(0, (second - 40) * 31)
    lag = 300 + 42 * second
    stopped = f"{lag} entries undelivered and nothing read for {behind_s:.0f} s, none of 2 consumers has called"
    billing = group(
        "billing",
        lag=lag,
        lag_seconds=behind_s,
        pending=17,
        oldest_pending_seconds=behind_s + 2,
        longest_idle_seconds=behind_s + 2,
        read_rate=0.0,
        lost_unread=lost,
        headroom_seconds=None if lost else max(0.0, 160.0 - behind_s),
        status="losing" if lost else "stopped",
        reason=f"{lost} entries were removed unread in the last 60 s" if lost else stopped,
        consumers=(
            consumer("billing-1", state="dead", pending=17, idle_seconds=behind_s + 2, inactive_seconds=behind_s + 2),
            consumer("billing-2", state="dead", idle_seconds=behind_s + 9, inactive_seconds=behind_s + 9),
        ),
    )
    archive = group(
        "archive",
        lag=2300 + 5 * second,
        lag_seconds=31.0 + second / 3,
        lag_quality="bounded",
        lag_upper_bound=9000,
        read_rate=30.5,
        pending=240,
        oldest_pending_seconds=12.0,
        headroom_seconds=540.0,
        status="lagging",
        reason="2500 entries undelivered, and not falling, the oldest for 51 s",
        consumers=(consumer("archive-1", pending=240), consumer("archive-2")),
    )
    search = group(
        "search",
        lag=None,
        lag_seconds=None,
        lag_quality="unknown",
        read_rate=None,
        lost_unread=None,
        status="unknown",
        reason="the lag is not known",
    )
    audit = group(
        "audit",
        lag=12,
        lag_seconds=95.0,
        read_rate=0.0,
        pending=12,
        oldest_pending_seconds=96.0,
        status="stalled",
        reason="12 entries undelivered and nothing read for 95 s",
        consumers=(consumer("audit-1", state="idle", pending=12, idle_seconds=96.0, inactive_seconds=2.0),),
    )
    return snapshot(
        stream("chat-7f3a", "llama-3.1-70b", group("app"), billing, archive, length=10_000, bytes=2_600_000),
        stream("chat-91c0", "llama-3.1-8b", group("app", read_rate=51.2), group("billing", read_rate=51.0)),
        stream("chat-b2d4", "mixtral-8x7b", group("app", lag=3, lag_seconds=0.1), search),
        stream("batch-03", "llama-3.1-70b", audit, write_rate=0.0, complete=True),
        stream("draft-11", "gemma-2-9b", write_rate=3.1, length=77),
        at=AT + second,
        generations=(
            generation("batch-03", "llama-3.1-70b", state="stalled", since_last_token_seconds=95.0 + second, tokens=81),
            generation("chat-7f3a", "llama-3.1-70b", tokens=2048, tokens_per_second=41.7),
            generation("chat-91c0", "llama-3.1-8b", tokens=117, tokens_per_second=63.2),
        ),
    )


def incident(seconds: int = 60) -> Iterator[Snapshot]:
    """A snapshot a second, with nothing for ten seconds in between."""
    for second in range(seconds):
        if not 20 <= second < 30:
            yield losing(second)


def lags(**of: int) -> ScriptedSource:
    """A source with one picture of these groups and their lags."""
    return ScriptedSource(picture(**of))


def picture(at: float = AT, **of: int) -> Snapshot:
    """A snapshot of groups with these lags, each on a stream of its own."""
    streams = [
        stream(name, "m", group(name, lag=lag, lag_seconds=float(lag), status="lagging" if lag else "ok"))
        for name, lag in of.items()
    ]
    return snapshot(*streams, at=at)
