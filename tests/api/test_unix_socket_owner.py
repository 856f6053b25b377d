"""The one owner of a socket's path: second starts, the lock, and what is never removed."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rlb.api.unix_socket import BoundSocket, _Lock
from rlb.errors import StartError
from tests.api.socket_files import connect, leave_stale_socket, root_only, umask


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
