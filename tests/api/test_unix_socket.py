"""The socket file: its mode from the first instant, its folder, the length of its path, and what a close leaves."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from pathlib import Path

import pytest

from rlb.api.unix_socket import BoundSocket
from rlb.errors import StartError
from tests.api.socket_files import connect, leave_stale_socket, root_only, umask


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077], ids=["umask-000", "umask-022", "umask-077"])
@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666], ids=["0600", "0660", "0666"])
def test_racer_sees_only_the_wanted_mode(short_tmp: Path, mode: int, mask: int) -> None:
    """Whoever looks at the path all the time never sees the socket with another mode, whatever the umask."""
    path = short_tmp / "s"
    seen: set[int] = set()
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            with contextlib.suppress(FileNotFoundError):
                seen.add(stat.S_IMODE(os.lstat(path).st_mode))

    racer = threading.Thread(target=look)
    racer.start()
    try:
        with umask(mask):
            for _ in range(200):
                with BoundSocket(path, mode=mode):
                    pass
            with BoundSocket(path, mode=mode):
                while not seen:
                    pass
            assert os.umask(mask) == mask
    finally:
        is_over.set()
        racer.join()
    assert seen == {mode}


def test_mode_does_not_hang_on_the_umask_alone(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should another thread open the umask in the same instant, the socket is not open to more for it."""
    with umask(0o000):
        monkeypatch.setattr("rlb.api.unix_socket.os.umask", lambda mask: 0)
        with BoundSocket(short_tmp / "s", mode=0o600):
            assert stat.S_IMODE((short_tmp / "s").stat().st_mode) == 0o600
        monkeypatch.undo()


def test_client_connects(short_tmp: Path) -> None:
    """The socket listens as soon as it is made."""
    with BoundSocket(short_tmp / "s") as bound, connect(bound.path) as client:
        accepted, _ = bound.socket.accept()
        with accepted:
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"


def test_missing_folders_are_made_private(short_tmp: Path) -> None:
    """Folders that are missing are made with mode 0700, and one that was there keeps its own."""
    short_tmp.chmod(0o755)
    with umask(0o000), BoundSocket(short_tmp / "a" / "b" / "s"):
        modes = [stat.S_IMODE(folder.stat().st_mode) for folder in (short_tmp, short_tmp / "a", short_tmp / "a" / "b")]
    assert modes == [0o755, 0o700, 0o700]


def test_world_writable_folder_is_refused(short_tmp: Path) -> None:
    """In a folder where everybody may replace files no socket is made."""
    short_tmp.chmod(0o777)
    with pytest.raises(StartError, match="writable for everybody.*chmod o-w"):
        BoundSocket(short_tmp / "s")
    assert list(short_tmp.iterdir()) == []


def test_world_writable_folder_is_taken_when_shared(short_tmp: Path) -> None:
    """A pod's emptyDir is such a folder, and only the pod's containers reach it: a setting says so."""
    short_tmp.chmod(0o2777)
    with BoundSocket(short_tmp / "s", shared_folder=True) as bound:
        assert bound.is_in_place()


def test_sticky_world_writable_folder_is_taken(short_tmp: Path) -> None:
    """A folder like /tmp, where everybody may make files but replace only their own, will do."""
    short_tmp.chmod(0o1777)
    with BoundSocket(short_tmp / "s") as bound:
        connect(bound.path).close()


@root_only
def test_folder_of_another_user_is_refused(short_tmp: Path) -> None:
    """A folder whose owner is neither root nor this user is not trusted."""
    os.chown(short_tmp, 65534, -1)
    with pytest.raises(StartError, match="belongs to uid 65534"):
        BoundSocket(short_tmp / "s")


def test_file_in_place_of_the_folder_is_refused(short_tmp: Path) -> None:
    """A path below a plain file is refused in words."""
    (short_tmp / "f").touch()
    with pytest.raises(StartError, match="f is not a folder|cannot be made"):
        BoundSocket(short_tmp / "f" / "s")


def test_longest_path(short_tmp: Path) -> None:
    """107 bytes are a path; with 108 the message names both numbers."""
    longest = short_tmp / ("s" * (106 - len(os.fsencode(short_tmp))))
    with BoundSocket(longest):
        connect(longest).close()
    with pytest.raises(StartError, match="108 bytes.*107"):
        BoundSocket(f"{longest}s")


def test_close_leaves_nothing(short_tmp: Path) -> None:
    """After close, even a second one, the folder is as empty as before."""
    bound = BoundSocket(short_tmp / "s")
    bound.close()
    bound.close()
    assert list(short_tmp.iterdir()) == []
    assert bound.socket.fileno() == -1


def test_close_leaves_the_file_of_another(short_tmp: Path) -> None:
    """A socket that has taken the path meanwhile is not removed."""
    bound = BoundSocket(short_tmp / "s")
    assert bound.is_in_place()
    bound.path.unlink()
    assert not bound.is_in_place()
    leave_stale_socket(bound.path)
    assert not bound.is_in_place()
    bound.close()
    assert bound.path.is_socket()
