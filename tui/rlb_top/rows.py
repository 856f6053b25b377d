"""Rows: a snapshot cut into the lines of the table.

`groups` has a row for each group on each stream, `models` one for each group on all streams of a model, `streams` one
for each stream. A stream that no group reads has a row too, of the status `unread`.
"""

from __future__ import annotations

from collections.abc import Iterable

from rlb.domain.snapshot import Snapshot
from rlb.domain.stream_info import GroupInfo, StreamInfo
from rlb_top.group_row import GroupRow
from rlb_top.row import MODES, Mode, Row, Trends, no_trends
from rlb_top.sum_rows import ModelRow, StreamRow

__all__ = ["MODES", "GroupRow", "Mode", "ModelRow", "Row", "StreamRow", "Trends", "build_rows", "no_trends"]


def build_rows(snapshot: Snapshot, mode: Mode, trends: Trends = no_trends) -> list[Row]:
    """The rows of a snapshot, in no order that matters."""
    if mode == "streams":
        return [StreamRow(stream, trends) for stream in snapshot.streams]
    if mode == "models":
        return list(_model_rows(snapshot.streams, trends))
    rows: list[Row] = []
    for stream in snapshot.streams:
        if stream.groups:
            rows += [GroupRow(stream, info, trends) for info in stream.groups]
        else:
            rows.append(StreamRow(stream, trends))
    return rows


def _model_rows(streams: Iterable[StreamInfo], trends: Trends) -> Iterable[Row]:
    members: dict[tuple[str | None, str], list[tuple[StreamInfo, GroupInfo]]] = {}
    unread: dict[str | None, list[StreamInfo]] = {}
    for stream in streams:
        for info in stream.groups:
            members.setdefault((stream.model_id, info.group), []).append((stream, info))
        if not stream.groups:
            unread.setdefault(stream.model_id, []).append(stream)
    for (model, group), found in members.items():
        yield ModelRow(model, group, found, [stream for stream, _ in found], trends)
    for model, alone in unread.items():
        yield ModelRow(model, None, (), alone, trends)
