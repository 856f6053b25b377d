"""A real server as a child process on a private Unix socket, gone with the test session whatever ends that."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tests.servers.kinds import ServerKind
from tests.support.started import free_port

# macOS's own temporary folder is too long for a Unix socket's 104 bytes.
SHORT_TEMPORARY_FOLDER = "/tmp"
START_TIMEOUT_S = 10.0
# Waits for its input to end, which happens when the test process ends in any way, and then tidies up after it.
WATCHDOG = 'read -r _; kill -KILL "$1" 2>/dev/null; rm -rf -- "$2"'


class RedisServer:
    """One server of its own: `start` it, break it, `stop` it. Nothing is kept on disk unless `config` asks for it.

    `config` holds lines of redis.conf, such as `appendonly yes` or `user app on >secret ~* +@all`. Socket, port and
    folder stay the same over a restart.
    """

    def __init__(self, kind: ServerKind, *, config: tuple[str, ...] = (), tcp: bool = False) -> None:
        self.kind = kind
        self._binary = kind.binary()  # before there is a folder to leave behind
        self.folder = Path(tempfile.mkdtemp(prefix="rlb-redis-", dir=SHORT_TEMPORARY_FOLDER))
        self.socket_path = self.folder / "s"
        self.log_path = self.folder / "log"
        self.port = free_port() if tcp else 0
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket_path}"

    @property
    def tcp_url(self) -> str:
        """The loopback address; only with `tcp=True`."""
        assert self.port, f"{self.kind.name} was made without tcp=True"
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.kind.name} is not running"
        return self._process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def start(self) -> RedisServer:
        """Start the server and return once it answers."""
        assert self._process is None, f"{self.kind.name} is running already"
        config_path = self.folder / "redis.conf"
        config_path.write_text("\n".join(self._config_lines()) + "\n")
        # In a session of its own, so that Ctrl-C reaches the tests alone and they stop the server in their order.
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, config_path], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", WATCHDOG, "watchdog", str(self._process.pid), self.folder],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._wait_until_ready()
        return self

    def stop(self) -> None:
        """End the server in the orderly way (SIGTERM), as an administrator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server at once (SIGKILL), as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """`stop` if it runs, then `start` again at the same addresses. Data is gone unless `config` keeps it."""
        if self._process is not None:
            self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the process (SIGSTOP): connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill the server if it runs, and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def reset(self) -> None:
        """Bring the server back to empty for the next test: no other client, no data, no cached script."""
        self.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self.command("FLUSHALL", "SYNC")
        self.command("SCRIPT", "FLUSH")

    def command(self, *words: bytes | str | float, timeout_s: float = 5.0) -> Any:
        """Run one command on a connection of its own and return the reply as hiredis reads it (bytes).

        Raises:
            hiredis.HiredisError: the server answered with an error.
        """
        reader = hiredis.Reader()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(self.socket_path))
            connection.sendall(hiredis.pack_command(words))
            while (reply := reader.gets()) is False:
                received = connection.recv(65536)
                if not received:
                    raise ConnectionError(f"{self.kind.name} closed the connection during {words[0]!r}")
                reader.feed(received)
        if isinstance(reply, hiredis.HiredisError):
            raise reply
        return reply

    def client(self) -> Redis:
        """A redis-py client that never retries and leaves bytes as bytes; close it, or use `async with`."""
        return Redis(unix_socket_path=str(self.socket_path), retry=Retry(NoBackoff(), 0), socket_timeout=30, protocol=2)

    def _config_lines(self) -> list[str]:
        lines = [
            f"unixsocket {self.socket_path}",
            "unixsocketperm 700",
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self.folder}",
            'save ""',
            "appendonly no",
            "daemonize no",
        ]
        if self.kind.version >= (7, 0, 0):
            lines.append("enable-debug-command local")
        return [*lines, *self._config]

    def _wait_until_ready(self) -> None:
        give_up_at_s = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                self.command("PING")
            except hiredis.HiredisError as error:
                if not str(error).startswith("LOADING"):
                    return  # NOAUTH, for one, is an answer too
            except OSError:
                pass
            else:
                return
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > give_up_at_s:
                log = self.log
                self.kill()
                raise RuntimeError(f"{self.kind.name} did not start:\n{log}")
            time.sleep(0.005)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.kind.name} is not running"
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        watchdog, self._watchdog = self._watchdog, None
        if process is not None:
            process.send_signal(number)
            process.send_signal(signal.SIGCONT)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        # After the server: a watchdog that outlived it could hit a new process with the same number.
        if watchdog is not None:
            watchdog.kill()
            watchdog.communicate()
