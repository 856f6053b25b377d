"""What there is to say of a stream, whoever reads it: its size, its retention, its ends. Pure."""

from __future__ import annotations

from rlb.domain.stream_info import StreamInfo
from rlb_top import format as fmt
from rlb_top.widgets.facts import Fact


def stream_heading(stream: StreamInfo) -> Fact:
    """What the stream is called."""
    return Fact("stream", fmt.line(stream.key), "bold")


def stream_facts(stream: StreamInfo) -> list[Fact]:
    """The facts, the more telling ones first."""
    limit = f" of {fmt.count(stream.max_length)}" if stream.max_length is not None else ""
    kept_s = stream.retention_ms / 1000 if stream.retention_ms is not None else None
    state = {True: "complete", False: "being written", None: fmt.UNKNOWN}[stream.complete]
    return [
        Fact("generation", state),
        Fact("length", f"{fmt.count(stream.length)}{limit}"),
        Fact("memory", fmt.size(stream.bytes)),
        Fact("in", f"{fmt.rate(stream.write_rate)}/s"),
        Fact("added", fmt.count(stream.entries_added)),
        Fact("trimmed", fmt.count(stream.entries_trimmed)),
        Fact("oldest kept", fmt.duration(stream.age_seconds) if stream.length else fmt.NONE),
        Fact("kept for", fmt.duration(kept_s) if kept_s is not None else "no limit of age"),
        Fact("expires in", fmt.duration(stream.ttl_seconds) if stream.ttl_seconds is not None else "never"),
        Fact("first id", stream.first_entry_id or fmt.NONE),
        Fact("last id", stream.last_entry_id or fmt.NONE),
    ]
