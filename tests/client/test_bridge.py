"""The bridge itself: where it finds its sidecar, how it waits for it, and when it is open."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rlb import Bridge
from rlb.errors import (
    SettingsError,
    SidecarUnreachableError,
)
from tests.client.conftest import RunSidecar


async def test_the_sidecar_tells_how_it_is(bridge: Bridge) -> None:
    """Health names every component; ready and waiting for it say yes."""
    await bridge.wait_until_ready(10, redis=True)
    assert await bridge.ready()
    health = await bridge.health()
    assert health.is_ok
    assert {"redis", "socket"} <= {component.name for component in health.components}


async def test_a_sidecar_that_starts_later_is_waited_for(run_sidecar: RunSidecar, short_tmp: Path) -> None:
    """An app that starts first waits for its sidecar, within a limit."""
    async with Bridge(short_tmp / "rlb-1.sock") as bridge:
        with pytest.raises(SidecarUnreachableError):
            await bridge.wait_until_ready(0.2)
        waiting = asyncio.create_task(bridge.wait_until_ready(10))
        await asyncio.sleep(0.2)
        await run_sidecar()
        await waiting


async def test_the_socket_is_found_where_the_settings_say(sidecar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the path is that of RLB_SOCKET__PATH; a bad one is refused by name."""
    monkeypatch.setenv("RLB_SOCKET__PATH", str(sidecar))
    async with Bridge() as bridge:
        assert await bridge.ready()
    monkeypatch.setenv("RLB_SOCKET__PATH", "/" + "x" * 200)
    with pytest.raises(SettingsError, match="RLB_SOCKET__PATH"):
        Bridge()


async def test_a_bridge_works_inside_of_its_block_only(sidecar: Path) -> None:
    """Before and after it, and when it is entered twice, the error says what to do."""
    bridge = Bridge(sidecar)
    with pytest.raises(RuntimeError, match="async with Bridge"):
        await bridge.ready()
    async with bridge:
        assert await bridge.ready()
        with pytest.raises(RuntimeError, match="open already"):
            await bridge.__aenter__()
    with pytest.raises(RuntimeError, match="async with Bridge"):
        bridge.tail("s", "m")
    async with bridge:
        assert await bridge.ready()
