"""A process as a container runtime starts it, made of the kernel's namespaces alone, for where there is no engine.

It is process 1 of a process namespace, and sees a root of its own: a folder, and the machine's system folders, lent
read-only in place of those of a base image. The machine's Python stands at /usr/local, as in the images of Python.
Addresses of the network are shared with the machine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE_S = 30.0

BASE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of the base image."""

SYSTEM = ("bin", "etc", "lib", "lib32", "lib64", "sbin", "usr")
"""The folders at the top that belong to a base image."""

EMPTY = ("dev", "proc", "tmp")
"""Those that a runtime fills at the start."""

DEVICES = ("full", "null", "random", "urandom", "zero")

_START = """
set -eu
root=$1 python=$2 is_read_only=$3; shift 3
mount --bind "$root" "$root"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in $SYSTEM; do
  [ ! -L "$root/$name" ] || continue
  mount --rbind "/$name" "$root/$name"
  mount -o remount,bind,ro "$root/$name"
done
# Volumes may be mounted below /etc, where a runtime makes the places for them.
mkdir -p "$root/dev/.etc/upper" "$root/dev/.etc/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$root/dev/.etc/upper,workdir=$root/dev/.etc/work" overlay "$root/etc"
for name in hosts resolv.conf; do mount --bind "/etc/$name" "$root/etc/$name"; done
mount --bind "$python" "$root/usr/local"
mount -o remount,bind,ro "$root/usr/local"
mount -t proc proc "$root/proc"
for name in $DEVICES; do : >"$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"; done
mkdir -m 1777 "$root/dev/shm"
chroot "$root" /sbin/ldconfig -C /dev/libraries
mount --bind "$root/dev/libraries" "$root/etc/ld.so.cache"
if [ "$is_read_only" = no ]; then mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"; fi
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir -p "$root$2"; else mkdir -p "$root${2%/*}"; : >>"$root$2"; fi
  mount --bind "$1" "$root$2"
  if [ "$3" = ro ]; then mount -o remount,bind,ro "$root$2"; fi
  shift 3
done
shift
if [ "$is_read_only" = yes ]; then
  mount -o remount,bind,ro "$root/etc"
  mount -o remount,bind,ro "$root/dev"
  mount -o remount,bind,ro "$root"
fi
exec chroot "$root" "$@"
"""


def denied() -> str | None:
    """Why no container can be started here; None if one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "namespaces of one's own need Linux and root"
    for command in ("unshare", "nsenter", "setpriv", "chroot", "mount"):
        if shutil.which(command) is None:
            return f"there is no {command} here"
    if not Path(sys.base_prefix, "bin", "python").exists() or sys.base_prefix == "/usr":
        return "this Python has no folder of its own, as that of a base image has"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    return None if tried.returncode == 0 else f"namespaces are denied here: {tried.stderr.strip()}"


@dataclass(frozen=True, slots=True)
class Bind:
    """A folder or file of the machine, and where the container finds it."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a process runs, and what of root's is taken from it."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    no_new_privileges: bool = False
    drops_capabilities: bool = False

    def command(self) -> list[str]:
        """The command that becomes the one behind it, as this identity."""
        groups = ["--groups", ",".join(map(str, self.groups))] if self.groups else ["--clear-groups"]
        command = ["/usr/bin/setpriv", "--reuid", str(self.uid), "--regid", str(self.gid), *groups]
        if self.no_new_privileges:
            command.append("--no-new-privs")
        if self.drops_capabilities:
            command += ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
        return command


@dataclass(slots=True)
class Container:
    """One container, from `with` to the end of the block.

    `command` is started with `environment` and nothing else, in `folder`, below `root`, which `read_only` keeps as it
    is but for what `binds` puts there. Output and errors go to `log_path`.
    """

    root: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    log_path: Path
    identity: Identity = field(default_factory=Identity)
    binds: Sequence[Bind] = ()
    folder: str = "/"
    read_only: bool = True
    _process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        _make_mount_points(self.root)
        mounts = [word for b in self.binds for word in (str(b.source), b.target, "ro" if b.read_only else "rw")]
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"),
                    *(
                        "bash",
                        "-c",
                        _START,
                        "start",
                        str(self.root),
                        sys.base_prefix,
                        "yes" if self.read_only else "no",
                    ),
                    *mounts,
                    *("--", *self.identity.command(), *self._in_environment(self.command)),
                ],
                env={"PATH": BASE_PATH, "SYSTEM": " ".join(_system()), "DEVICES": " ".join(DEVICES)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def _in_environment(self, command: Sequence[str]) -> list[str]:
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        return ["/usr/bin/env", "-i", "-C", self.folder, *variables, *command]

    def exec(self, command: Sequence[str], timeout_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
        """Run a command in the container as its process runs: same user, same variables, same files."""
        inside = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--root", "--wd", "--"]
        return subprocess.run(
            [*inside, *self.identity.command(), *self._in_environment(command)],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    @property
    def pid(self) -> int:
        """The number of process 1, as the machine counts it."""
        until_s = time.monotonic() + PATIENCE_S
        # The outer process takes a moment to fork.
        while not (found := self._inner()):
            assert self.is_running, f"it has ended: {self.log}"
            assert time.monotonic() < until_s, f"it does not start: {self.log}"
            time.sleep(0.01)
        return found[0]

    def _inner(self) -> list[int]:
        """The number of process 1, if there is one now."""
        assert self._process is not None
        outer = self._process.pid
        try:
            return [int(word) for word in Path(f"/proc/{outer}/task/{outer}/children").read_text().split()]
        except OSError:
            return []

    def send(self, number: signal.Signals) -> None:
        """Send process 1 a signal, as a runtime does."""
        os.kill(self.pid, number)

    def ended(self, timeout_s: float = PATIENCE_S) -> int:
        """Its exit code, once it has one."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            # With process 1 go all others of its namespace. That it goes with the outer process, as it was to, is
            # forgotten by the kernel when it becomes another user.
            for pid in self._inner():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()


def eventually(is_so: object, what: str, container: Container) -> None:
    """Wait until a callable gives something true."""
    assert callable(is_so)
    until_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert container.is_running, f"it ended before it was {what}: {container.log}"
        assert time.monotonic() < until_s, f"not {what}: {container.log}"
        time.sleep(0.02)


def _system() -> list[str]:
    return [name for name in SYSTEM if Path("/", name).exists()]


def _make_mount_points(root: Path) -> None:
    root.chmod(0o755)
    for name in _system():
        here, there = Path("/", name), root / name
        if here.is_symlink():
            with contextlib.suppress(FileExistsError):  # another process starts a container here
                there.symlink_to(here.readlink())
        else:
            there.mkdir(exist_ok=True)
    for name in EMPTY:
        (root / name).mkdir(exist_ok=True)
