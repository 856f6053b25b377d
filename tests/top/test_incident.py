"""The recorded incident tells its story: what every picture of rlb-top is made from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise

import pytest

from rlb.domain.snapshot import Snapshot
from rlb.domain.stream_info import GroupInfo
from rlb_top.history import History, Trend, group_key
from rlb_top.sources.recording_file import RecordingFile
from tests.top.incident import AGENT, CHAT, DATA, FRAMES, POLL_S, STRETCH

STEP_S = POLL_S * STRETCH
MAX_BYTES = 512 * 1024


@pytest.fixture(scope="module")
def frames() -> Iterator[list[Snapshot]]:
    file = RecordingFile(DATA)
    yield [file.frame(number) for number in range(len(file.times_s))]
    file.close()


def indexer(frame: Snapshot) -> GroupInfo:
    """The group that the incident is about."""
    (stream,) = (each for each in frame.streams if each.session_id == CHAT[0])
    (group,) = (each for each in stream.groups if each.group == "indexer")
    return group


def test_it_is_small_and_comes_in_even_steps(frames: list[Snapshot]) -> None:
    assert DATA.stat().st_size < MAX_BYTES
    file = RecordingFile(DATA)
    assert file.times_s == [STEP_S * number for number in range(FRAMES)]
    file.close()
    times = [frame.at for frame in frames if frame.at is not None]
    assert {after - before for before, after in pairwise(times)} == {STEP_S}


def test_a_consumer_dies_data_is_lost_and_it_comes_back(frames: list[Snapshot]) -> None:
    statuses = [status for status, _ in groupby(indexer(frame).status for frame in frames)]
    assert statuses == ["ok", "losing", "ok"]
    states = [state for state, _ in groupby(each.state for frame in frames for each in indexer(frame).consumers)]
    assert states == ["active", "idle", "dead", "active"]
    lost = [indexer(frame).lost_unread or 0 for frame in frames]
    assert lost[0] == 0
    assert lost[-1] > 100
    assert lost == sorted(lost)
    assert lost[-1] == frames[-1].totals.lost_unread


def test_other_groups_stop_without_a_loss_and_a_generation_stalls(frames: list[Snapshot]) -> None:
    others = {group.status for frame in frames for stream in frame.streams for group in stream.groups}
    assert {"ok", "stalled", "stopped", "losing"} <= others
    assert {each.state for frame in frames for each in frame.generations} == {"active", "stalled"}
    live = [
        group for frame in frames for stream in frame.streams for group in stream.groups if group.group != "indexer"
    ]
    assert {group.status for group in live} <= {"ok", "unknown"}


def test_the_trend_turns_with_the_incident(frames: list[Snapshot]) -> None:
    history = History()
    # Of the other stream nothing is removed, so its lag grows as long as nobody reads.
    key = group_key(next(each.key for each in frames[0].streams if each.session_id == AGENT[0]), "indexer")
    trends: list[Trend | None] = []
    for frame in frames:
        history.add(frame)
        trends.append(history.trend(key))
    assert trends[0] is None
    assert trends[30] == "rising"
    assert "falling" in trends[50:60]
    assert trends[-1] == "steady"


def test_nothing_in_it_names_this_machine(frames: list[Snapshot]) -> None:
    assert {frame.sidecar.instance for frame in frames} == {"gpu-node-4:/run/rlb/rlb.sock"}
    assert "/tmp" not in DATA.read_text()
