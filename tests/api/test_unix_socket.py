"""The socket file: its mode from the first instant, its one owner, and what is never removed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlb.api.unix_socket import BoundSocket, _Lock
from rlb.errors import StartError

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")


def connect(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(5)
    client.connect(str(path))
    return client


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    previous = os.umask(mask)
    try:
        yield
    finally:
        os.umask(previous)


def leave_stale_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(path))


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


def test_second_start_is_refused_and_the_first_serves_on(short_tmp: Path) -> None:
    """A second sidecar on the path learns who holds it and what to do; the first is not disturbed."""
    with BoundSocket(short_tmp / "s") as first:
        with pytest.raises(StartError, match=rf"pid {os.getpid()}\) holds .*s\.lock: stop .*RLB_SOCKET__PATH"):
            BoundSocket(first.path)
        assert first.is_in_place()
        connect(first.path).close()


def test_of_many_starts_one_wins(short_tmp: Path) -> None:
    """Of eight that start at once over a stale file one gets the path, and clients reach that one."""
    path = short_tmp / "s"
    for _ in range(20):
        leave_stale_socket(path)
        barrier = threading.Barrier(8)
        winners: list[BoundSocket] = []
        losers: list[StartError] = []

        def start(barrier: threading.Barrier, winners: list[BoundSocket], losers: list[StartError]) -> None:
            barrier.wait()
            try:
                winners.append(BoundSocket(path))
            except StartError as error:
                losers.append(error)

        threads = [threading.Thread(target=start, args=(barrier, winners, losers)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(winners), len(losers)) == (1, 7)
        with winners[0] as winner, connect(path):
            winner.socket.settimeout(5)
            winner.socket.accept()[0].close()


def test_live_listener_without_a_lock_is_refused(short_tmp: Path) -> None:
    """A program that listens at the path without our lock keeps it."""
    path = short_tmp / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(StartError, match="live process listens"):
            BoundSocket(path)
        connect(path).close()
    assert not path.with_name("s.lock").exists()


def test_live_listener_too_busy_to_accept_is_refused(short_tmp: Path) -> None:
    """A listener whose backlog is full is alive, though it does not take the probe."""
    path = short_tmp / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        other.listen(0)
        with connect(path), pytest.raises(StartError, match="live process listens"):
            BoundSocket(path)


def test_datagram_socket_is_refused(short_tmp: Path) -> None:
    """A socket of another type cannot be probed by connecting, so it is left alone."""
    path = short_tmp / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        with pytest.raises(StartError, match="live process listens"):
            BoundSocket(path)
        assert path.is_socket()


def test_socket_of_a_killed_process_is_replaced(short_tmp: Path) -> None:
    """What a sidecar leaves behind when it is killed does not stop the next one."""
    path = short_tmp / "s"
    code = f"from rlb.api.unix_socket import BoundSocket; b = BoundSocket({str(path)!r}); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PYTHONPATH": "sidecar"}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n"
        with pytest.raises(StartError, match=rf"pid {process.pid}\)"):
            BoundSocket(path)
        process.send_signal(signal.SIGKILL)
    assert path.is_socket()
    assert path.with_name("s.lock").exists()
    with BoundSocket(path):
        connect(path).close()


def test_children_do_not_keep_the_lock(short_tmp: Path) -> None:
    """A child process that outlives the sidecar does not hold its path."""
    path = short_tmp / "s"
    with BoundSocket(path):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        BoundSocket(path).close()
    finally:
        child.kill()
        child.wait()


def make_file(path: Path) -> None:
    path.write_text("mine")


def make_folder(path: Path) -> None:
    path.mkdir()


def make_link_to_socket(path: Path) -> None:
    leave_stale_socket(path.with_name("target"))
    path.symlink_to("target")


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [make_file, make_folder, make_link_to_socket, make_dangling_link])
def test_what_is_no_socket_is_never_removed(short_tmp: Path, make: object) -> None:
    """A file, a folder or a link at the path stops the start and stays as it is."""
    path = short_tmp / "s"
    assert callable(make)
    make(path)
    before = os.lstat(path)
    with pytest.raises(StartError, match="is not a socket"):
        BoundSocket(path)
    assert os.lstat(path) == before
    assert not path.with_name("s.lock").exists()


def test_lock_removed_while_it_is_taken(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock on a file that its last holder has just removed would exclude nobody: it is taken again."""
    take = _Lock._take
    takes: list[Path] = []

    def take_late(lock: _Lock) -> None:
        if not takes:
            lock._path.unlink()
        takes.append(lock._path)
        take(lock)

    monkeypatch.setattr(_Lock, "_take", take_late)
    with BoundSocket(short_tmp / "s"):
        assert len(takes) == 2
        with pytest.raises(StartError, match="holds"):
            BoundSocket(short_tmp / "s")


def test_lock_is_private(short_tmp: Path) -> None:
    """Nobody else may open the lock file, and so hold the lock."""
    with umask(0o000), BoundSocket(short_tmp / "s"):
        assert stat.S_IMODE((short_tmp / "s.lock").stat().st_mode) == 0o600


def test_lock_that_is_a_link_is_refused(short_tmp: Path) -> None:
    """A link in place of the lock file is not followed: its target would be emptied."""
    victim = short_tmp / "victim"
    victim.write_text("precious")
    (short_tmp / "s.lock").symlink_to(victim)
    with pytest.raises(StartError, match="symbolic link"):
        BoundSocket(short_tmp / "s")
    assert victim.read_text() == "precious"


def test_lock_with_a_second_name_is_refused(short_tmp: Path) -> None:
    """Neither is a hard link, which might be another file of this user."""
    victim = short_tmp / "victim"
    victim.write_text("precious")
    (short_tmp / "s.lock").hardlink_to(victim)
    with pytest.raises(StartError, match="not a plain file"):
        BoundSocket(short_tmp / "s")
    assert victim.read_text() == "precious"


@root_only
def test_lock_of_another_user_is_refused(short_tmp: Path) -> None:
    """A lock file that another user put there could be held by them for ever."""
    lock = short_tmp / "s.lock"
    lock.touch()
    os.chown(lock, 65534, -1)
    with pytest.raises(StartError, match="not a plain file of this user"):
        BoundSocket(short_tmp / "s")


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
