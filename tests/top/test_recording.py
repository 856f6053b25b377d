"""Recordings: written, read, and played with their controls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest

from rlb.domain.snapshot import Snapshot
from rlb_top.following import Lost, follow
from rlb_top.source import SourceLostError
from rlb_top.sources.recorded import Recorded
from rlb_top.sources.recording import MAX_SPEED, RecordingSource
from rlb_top.sources.recording_file import RecordingError, RecordingFile, RecordingWriter
from tests.support.scripted_source import AT, ScriptedSource, generation, group, snapshot, stream

PATIENCE_S = 10.0


def frame(number: int) -> Snapshot:
    found = stream("s\x1b-1", "m", group("g", lag=number, reason='a "reason"'))
    return snapshot(found, at=AT + number, generations=(generation(),))


def written(path: Path, *times_s: float) -> Path:
    writer = RecordingWriter(path, "/run/rlb/rlb.sock")
    for number, at_s in enumerate(times_s):
        writer.add(at_s, frame(number))
    writer.close()
    return path


@pytest.fixture
async def played(tmp_path: Path) -> AsyncIterator[RecordingSource]:
    """Five frames, each an hour after the one before: none comes by itself within a test."""
    source = RecordingSource(RecordingFile(written(tmp_path / "r", *(3600.0 * number for number in range(5)))))
    yield source
    await source.close()


async def shown(snapshots: AsyncGenerator[Snapshot, None]) -> float:
    """The number of the frame that comes next."""
    async with asyncio.timeout(PATIENCE_S):
        found = await anext(snapshots)
    assert found.at is not None
    return found.at - AT


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = RecordingFile(written(tmp_path / "r", 0, 1.5, 4))
    assert file.times_s == [0, 1.5, 4]
    assert file.source == "/run/rlb/rlb.sock"
    assert [file.frame(number) for number in (2, 0, 1)] == [frame(2), frame(0), frame(1)]
    assert [file.number_at(at_s) for at_s in (0, 1.4, 1.5, 99)] == [0, 0, 1, 2]
    file.close()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path / "r", 0)
    before = path.read_bytes()
    with pytest.raises(RecordingError, match="is there already"):
        RecordingWriter(path, "")
    assert path.read_bytes() == before
    with pytest.raises(RecordingError, match="cannot be written"):
        RecordingWriter(tmp_path / "none" / "r", "")


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    assert written(tmp_path / "r", 0).stat().st_mode & 0o777 == 0o600


def test_a_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path / "r", 0, 1, 2)
    path.write_bytes(path.read_bytes()[:-20])
    file = RecordingFile(path)
    assert file.times_s == [0, 1]
    file.close()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no recording"),
        ("hello\n", "no recording"),
        ('{"at_s": 0, "snapshot": {}}\n', "no recording"),
        ('{"recording": 1}\n', "holds no snapshot"),
        ('{"recording": 1}\n{"something": 1}\n', "line 2: no frame"),
        ('{"recording": 2, "version": "9.9"}\n', "later version .9.9."),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "r"
    path.write_text(text)
    with pytest.raises(RecordingError, match=reason):
        RecordingFile(path)
    with pytest.raises(RecordingError, match="cannot be opened: No such file"):
        RecordingFile(tmp_path / "none")


async def test_a_frame_that_is_none_is_a_lost_source(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_text('{"recording": 1}\n{"at_s": 0, "snapshot": {"at": "noon"}}\n')
    source = RecordingSource(RecordingFile(path))
    with pytest.raises(SourceLostError, match="line 2: at: "):
        await anext(source.watch())
    await source.close()


async def test_a_recording_plays_at_its_pace_and_its_end_is_told(tmp_path: Path) -> None:
    source = RecordingSource(RecordingFile(written(tmp_path / "r", 0, 0.2, 0.4)), speed=2.0, ends=True)
    began_s = asyncio.get_running_loop().time()
    found = [each.at async for each in source.watch()]
    assert found == [AT, AT + 1, AT + 2]
    assert asyncio.get_running_loop().time() - began_s >= 0.19
    await source.close()


async def test_following_a_recording_ends_with_it(tmp_path: Path) -> None:
    source = RecordingSource(RecordingFile(written(tmp_path / "r", 0, 0)), ends=True)
    assert len([each async for each in follow(source)]) == 2
    await source.close()


async def test_steps_go_to_both_sides_and_pause(played: RecordingSource) -> None:
    snapshots = played.watch()
    assert await shown(snapshots) == 0
    for step, number in ((1, 1), (2, 3), (-1, 2), (99, 4), (-99, 0)):
        played.step(step)
        assert await shown(snapshots) == number
        assert (played.position, played.position_s) == (number, 3600.0 * number)
        assert played.is_paused
    assert (played.frames, played.length_s) == (5, 4 * 3600.0)
    await snapshots.aclose()


async def test_steps_add_up_before_the_next_frame_is_shown(played: RecordingSource) -> None:
    snapshots = played.watch()
    await shown(snapshots)
    played.step()
    played.step()
    assert await shown(snapshots) == 2
    await snapshots.aclose()


async def test_a_pause_holds_and_a_change_of_speed_counts_at_once(tmp_path: Path) -> None:
    source = RecordingSource(RecordingFile(written(tmp_path / "r", 0, 20, 40)))
    snapshots = source.watch()
    await shown(snapshots)
    source.is_paused = True
    source.speed = 1000.0
    assert source.speed == MAX_SPEED
    waiting = asyncio.ensure_future(anext(snapshots))
    await asyncio.sleep(0.6)
    assert not waiting.done()
    source.is_paused = False
    assert (await asyncio.wait_for(waiting, PATIENCE_S)).at == AT + 1
    await snapshots.aclose()
    await source.close()


async def test_at_its_end_it_pauses_and_plays_again_when_let_go_on(tmp_path: Path) -> None:
    source = RecordingSource(RecordingFile(written(tmp_path / "r", 0, 0.01)))
    snapshots = source.watch()
    assert [await shown(snapshots), await shown(snapshots)] == [0, 1]
    waiting = asyncio.ensure_future(anext(snapshots))
    await asyncio.sleep(0.1)
    assert source.is_paused
    assert not waiting.done()
    source.is_paused = False
    assert (await asyncio.wait_for(waiting, PATIENCE_S)).at == AT
    await snapshots.aclose()
    await source.close()


async def test_a_recording_has_no_interval(played: RecordingSource) -> None:
    with pytest.raises(ValueError, match="speed"):
        await played.set_interval(1.0)


async def test_what_is_watched_is_written_down(tmp_path: Path) -> None:
    scripted = ScriptedSource(frame(0), frame(1))
    source = Recorded(scripted, RecordingWriter(tmp_path / "r", scripted.name))
    snapshots = source.watch()
    assert [await anext(snapshots), await anext(snapshots)] == [frame(0), frame(1)]
    await snapshots.aclose()
    await source.close()
    file = RecordingFile(tmp_path / "r")
    assert [file.frame(0), file.frame(1)] == [frame(0), frame(1)]
    assert file.times_s[0] == 0
    assert scripted.closed
    file.close()


async def test_a_full_disk_ends_the_recording_and_not_the_watching() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    scripted = ScriptedSource(frame(0), frame(1))
    writer = RecordingWriter.__new__(RecordingWriter)
    writer.path = Path("/dev/full")
    writer._file = writer.path.open("wb", buffering=0)
    source = Recorded(scripted, writer)
    snapshots = source.watch()
    assert [await anext(snapshots), await anext(snapshots)] == [frame(0), frame(1)]
    assert source.failure is not None
    assert "No space left" in source.failure
    assert [each.name for each in await source.health()] == ["recording"]
    await snapshots.aclose()
    await source.close()


async def test_a_lost_source_is_tried_again_and_goes_on() -> None:
    scripted = ScriptedSource(frame(0))
    scripted.lose("away")
    scripted.lose("still away")
    scripted.push(frame(1))
    async with asyncio.timeout(PATIENCE_S):
        events = follow(scripted)
        found = [await anext(events) for _ in range(4)]
        await events.aclose()
    assert [found[0], found[3]] == [frame(0), frame(1)]
    first, second = found[1], found[2]
    assert isinstance(first, Lost)
    assert isinstance(second, Lost)
    assert (first.reason, second.reason) == ("away", "still away")
    assert (first.attempts, second.attempts) == (1, 2)
    assert first.retry_s < second.retry_s
