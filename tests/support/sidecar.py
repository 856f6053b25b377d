"""A whole sidecar in a thread with a loop of its own: a test's client may block and stall like a foreign process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import pytest

from rlb.service import Service
from rlb.settings import Settings
from tests.api.served import LOOPS, Client

T = TypeVar("T")
PATIENCE_S = 20.0
EACH_LOOP = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])


def settings_of(path: Path, url: str | None, **changes: dict[str, Any] | float) -> Settings:
    """Settings for a test: no TCP port, a short drain, and what the test changes, section by section."""
    tree: dict[str, Any] = {
        "socket": {"path": str(path)},
        "metrics": {"port": 0},
        "redis": {"url": url},
        "drain_s": 3.0,
    }
    for name, value in changes.items():
        tree[name] = {**tree.get(name, {}), **value} if isinstance(value, dict) else value
    return Settings.model_validate(tree)


class RunningSidecar:
    """A sidecar that listens from `with` to the end of the block."""

    service: Service

    def __init__(self, settings: Settings, *, loop: str = "uvloop", is_redis_up: bool = True) -> None:
        self.settings = settings
        self._is_redis_up = is_redis_up
        self.path = Path(settings.socket.path)
        self._loop_factory = LOOPS[loop]
        self._thread = threading.Thread(target=self._run, name="sidecar")
        self._is_ready = threading.Event()
        self._failure: BaseException | None = None

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=self._loop_factory) as runner:
                runner.run(self._main())
        except BaseException as error:  # noqa: BLE001 - it is raised again in the test's thread
            self._failure = error
        finally:
            self._is_ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        async with Service(self.settings) as self.service:
            # A sidecar serves before it has found its Redis; a test that is not about that starts behind it.
            while self._is_redis_up and self.service.health.report().status != "ok":
                await asyncio.sleep(0.001)
            self._is_ready.set()
            await self._over.wait()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine that runs in the sidecar's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    @contextmanager
    def held(self) -> Iterator[None]:
        """For the length of the block the loop does not turn: what happens meanwhile, it finds all at once."""
        let_go = threading.Event()
        is_held = threading.Event()

        def hold() -> None:
            is_held.set()
            let_go.wait(PATIENCE_S)

        self._loop.call_soon_threadsafe(hold)
        assert is_held.wait(PATIENCE_S)
        try:
            yield
        finally:
            let_go.set()

    def connect(self) -> Client:
        """A blocking client that speaks bytes."""
        return Client(self.path)

    def begin_stop(self) -> None:
        """Have it drain and end, without waiting for that."""
        with suppress(RuntimeError):  # of a loop that has ended by itself in this moment
            self._loop.call_soon_threadsafe(self._over.set)

    def wait(self) -> None:
        """Return when it has ended; what it failed with is raised."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the sidecar does not end"
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_ready.wait(PATIENCE_S), "the sidecar does not start"
        if self._failure is not None:
            self.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self.begin_stop()
        self.wait()


class StartSidecar(Protocol):
    """Starts a sidecar on the test's Valkey unless `url` names another; sections of settings as keywords."""

    def __call__(
        self, *, url: str = ..., loop: str = ..., is_redis_up: bool = ..., **changes: Any
    ) -> RunningSidecar: ...
