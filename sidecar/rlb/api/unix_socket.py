"""The listening Unix socket: never reachable with a wider mode than asked for, never taken from a live sidecar.

Who may bind is decided by a lock file beside the socket, so that two starts cannot both judge the same file stale.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from rlb.errors import StartError

MAX_PATH_BYTES = 107
"""`sun_path` of unix(7) holds 108 bytes, the last of which is NUL."""
BACKLOG = 4096
ELSEWHERE = "or set another RLB_SOCKET__PATH"


class BoundSocket:
    """A socket that listens at `path` until `close`, which takes away its file and its lock.

    Raises:
        StartError: The path cannot be had safely; the text says why and what to do.
    """

    def __init__(
        self, path: str | Path, *, mode: int = 0o660, shared_folder: bool = False, backlog: int = BACKLOG
    ) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow a link at the path itself
        size = len(os.fsencode(self.path))
        if size > MAX_PATH_BYTES:
            raise StartError(
                f"The socket path {self.path} has {size} bytes and a Unix socket's may have {MAX_PATH_BYTES}: "
                "set a shorter RLB_SOCKET__PATH."
            )
        with contextlib.ExitStack() as undo:
            _prepare_folder(self.path.parent, is_shared=shared_folder)
            undo.enter_context(_Lock(self.path.with_name(self.path.name + ".lock")))
            _make_room(self.path)
            self.socket = undo.enter_context(_bind(self.path, mode))
            status = os.lstat(self.path)
            self._identity = _identity(status)
            undo.callback(self._remove_file)
            _check_mode(self.path, stat.S_IMODE(status.st_mode), mode)
            self.socket.listen(backlog)
            self._undo = undo.pop_all()

    def is_in_place(self) -> bool:
        """Whether clients still find this socket at its path: somebody may have deleted or replaced the file."""
        try:
            return _identity(os.lstat(self.path)) == self._identity
        except OSError:
            return False

    def close(self) -> None:
        """Remove the file if it is still ours, close the socket, give up the lock. May be called again."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _remove_file(self) -> None:
        if self.is_in_place():
            with contextlib.suppress(OSError):
                self.path.unlink()


class _Lock:
    """An exclusive flock on a file of ours; the kernel gives it up when the process dies, so it is never stale."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> Self:
        while True:
            self._fd = self._open()
            try:
                self._take()
                # The one who held it may have removed the file between our open and our flock.
                if self._is_in_place():
                    os.ftruncate(self._fd, 0)
                    os.write(self._fd, b"%d\n" % os.getpid())
                    return self
            except BaseException:
                os.close(self._fd)
                raise
            os.close(self._fd)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_in_place():
            with contextlib.suppress(OSError):
                self._path.unlink()
        os.close(self._fd)

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            why = "is a symbolic link" if error.errno == errno.ELOOP else f"cannot be opened ({error.strerror})"
            raise StartError(f"The lock file {self._path} {why}: remove it, {ELSEWHERE}.") from error

    def _take(self) -> None:
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_uid != os.geteuid():
            raise StartError(f"The lock file {self._path} is not a plain file of this user: remove it, {ELSEWHERE}.")
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise StartError(
                f"Another sidecar (pid {holder}) holds {self._path}: stop that one, {ELSEWHERE}."
            ) from error
        os.fchmod(self._fd, 0o600)

    def _is_in_place(self) -> bool:
        try:
            return _identity(os.lstat(self._path)) == _identity(os.fstat(self._fd))
        except FileNotFoundError:
            return False


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _prepare_folder(folder: Path, *, is_shared: bool) -> None:
    """Make the folder, private, if it is missing; refuse one in which others could put a socket in our place."""
    try:
        missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        for parent in reversed(missing):
            with contextlib.suppress(FileExistsError):
                parent.mkdir(mode=0o700)
        status = folder.stat()
    except OSError as error:
        raise StartError(
            f"The socket folder {folder} cannot be made ({error.strerror}): make it, {ELSEWHERE}."
        ) from error
    if not stat.S_ISDIR(status.st_mode):
        raise StartError(f"The socket folder {folder} is not a folder: move it away, {ELSEWHERE}.")
    if is_shared:
        return
    if status.st_uid not in (0, os.geteuid()):
        raise StartError(
            f"The socket folder {folder} belongs to uid {status.st_uid}, who could replace the socket: "
            f"have it owned by uid {os.geteuid()} or root, {ELSEWHERE}."
        )
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        raise StartError(
            f"The socket folder {folder} is writable for everybody, who could replace the socket: "
            f"chmod o-w it, set RLB_SOCKET__FOLDER=shared if nobody else reaches it, {ELSEWHERE}."
        )


def _make_room(path: Path) -> None:
    """Remove a socket file that nobody listens at. Anything else at the path stays, and stops the start."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise StartError(f"{path} exists and is not a socket: move it away, {ELSEWHERE}.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        failure = probe.connect_ex(os.fspath(path))
    if failure == errno.ENOENT:
        return
    if failure in (0, errno.EAGAIN, errno.EPROTOTYPE):  # EAGAIN: its backlog is full. EPROTOTYPE: of another type
        raise StartError(f"A live process listens at {path}: stop it, {ELSEWHERE}.")
    if failure != errno.ECONNREFUSED:
        raise StartError(f"The socket file {path} cannot be probed ({os.strerror(failure)}): remove it, {ELSEWHERE}.")
    try:
        if _identity(os.lstat(path)) == _identity(status):
            path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StartError(
            f"The stale socket file {path} cannot be removed ({error.strerror}): remove it, {ELSEWHERE}."
        ) from error


def _bind(path: Path, mode: int) -> socket.socket:
    """A bound socket whose file has had `mode` from its first instant.

    The kernel gives the file the mode of the socket's own inode less the umask. The first is set on the descriptor, so
    that the file is never open to more than `mode` says. The second, which all threads share and one may change at any
    time, is for the length of one system call just what `mode` leaves out: the file is not open to less either, and
    nothing that another thread makes meanwhile is open to anybody to whom the socket is not.
    """
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(bound.fileno(), mode)
        previous = os.umask(0o777 & ~mode)
        try:
            bound.bind(os.fspath(path))
        finally:
            os.umask(previous)
    except OSError as error:
        bound.close()
        raise StartError(f"The socket {path} cannot be bound ({error.strerror}): mend that, {ELSEWHERE}.") from error
    return bound


def _check_mode(path: Path, actual: int, mode: int) -> None:
    """A folder's default ACL, or a file system of its own mind, may have changed the mode at birth."""
    if actual != mode:
        raise StartError(
            f"The file system gave the socket {path} the mode {actual:04o} instead of {mode:04o}: "
            f"remove the default ACL of its folder, {ELSEWHERE}."
        )
