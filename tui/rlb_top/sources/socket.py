"""A sidecar as a source: its snapshots, and all that its socket offers besides."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from rlb.client import Bridge
from rlb.domain.snapshot import Snapshot
from rlb.errors import RlbError
from rlb_top.source import Component, SourceKind, SourceLostError, checked_interval
from rlb_top.sources.bridge_actions import BridgeActions
from rlb_top.sources.bridge_content import BridgeContent

PATIENCE_S = 2.0
"""How long an action waits for a sidecar that restarts; a person can repeat it."""

TIMEOUT_S = 10.0

EARLY = 0.8
"""Part of the interval after which the next snapshot is shown: they never come quite regularly."""


class SocketSource:
    """Watches one sidecar. Its snapshots come as often as it polls, or, with an interval, some of them."""

    kind: SourceKind = "socket"
    playback = None

    def __init__(self, socket_path: Path | None, *, limit: int, read_only: bool = False) -> None:
        self._bridge = Bridge(socket_path, patience_s=PATIENCE_S, timeout_s=TIMEOUT_S)
        self._limit = limit
        self._is_open = False
        self.name = str(self._bridge.socket_path)
        self.interval_s: float | None = None
        self.content = BridgeContent(self._opened)
        self.details = BridgeActions(self._opened)
        self.actions = None if read_only else self.details

    async def _opened(self) -> Bridge:
        """The bridge, which belongs to the loop of the first call."""
        if not self._is_open:
            await self._bridge.__aenter__()
            self._is_open = True
        return self._bridge

    async def connect(self) -> None:
        """Reach the sidecar.

        Raises:
            SourceLostError: no sidecar answers, or it refuses us.
        """
        try:
            await (await self._opened()).snapshot(limit=0)
        except RlbError as error:
            raise SourceLostError(str(error)) from error

    async def watch(self) -> AsyncGenerator[Snapshot, None]:
        shown_s: float | None = None
        bridge = await self._opened()
        snapshots = bridge.watch(limit=self._limit)
        try:
            async for snapshot in snapshots:
                now_s = time.monotonic()
                if shown_s is not None and self.interval_s is not None and now_s - shown_s < EARLY * self.interval_s:
                    continue
                shown_s = now_s
                yield snapshot
        except RlbError as error:
            raise SourceLostError(str(error)) from error
        finally:
            await snapshots.aclose()
        raise SourceLostError(f"the sidecar at {self.name} has stopped")

    async def set_interval(self, seconds: float) -> None:
        self.interval_s = checked_interval(seconds)

    async def health(self) -> Sequence[Component]:
        try:
            report = await (await self._opened()).health()
        except RlbError as error:
            raise SourceLostError(str(error)) from error
        return [Component(each.name, each.state, each.since, each.reason) for each in report.components]

    async def close(self) -> None:
        if self._is_open:
            self._is_open = False
            await self._bridge.__aexit__(None, None, None)
