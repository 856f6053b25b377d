"""`rlb-top --serve`: a page for this machine's browser, and for nobody else."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import pytest

from rlb_top.serving import _without_serving
from tests.cli.processes import PATIENCE_S, clean_environment
from tests.support.started import free_port
from tests.top.incident import DATA


@dataclass(frozen=True)
class Page:
    """A running server."""

    url: str
    process: subprocess.Popen[str]


@pytest.fixture
def page() -> Iterator[Page]:
    port = free_port()
    command = [sys.executable, "-m", "rlb_top", "--replay", str(DATA), "--serve", "--port", str(port)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, env=clean_environment(), text=True, start_new_session=True
    )
    assert process.stderr is not None
    try:
        assert f"serving on http://127.0.0.1:{port}, without actions" in process.stderr.readline()
        yield Page(f"http://127.0.0.1:{port}", process)
    finally:
        # With the processes of its pages, which it would end itself if it were asked to.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_S)
        process.stderr.close()


async def until_it_listens(http: aiohttp.ClientSession, page: Page) -> str:
    """The page; the server says that it serves a moment before it does."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                async with http.get(page.url) as answer:
                    assert answer.status == 200
                    return await answer.text()
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.02)


async def test_the_screen_is_shown_in_a_browser(page: Page) -> None:
    async with aiohttp.ClientSession() as http:
        assert "rlb-top" in await until_it_listens(http, page)
        headers = {"Origin": page.url}
        async with http.ws_connect(f"{page.url}/ws?width=120&height=40", headers=headers) as connection:
            seen = b""
            async with asyncio.timeout(PATIENCE_S):
                while b"chat-7f3a" not in seen:
                    message = await connection.receive()
                    assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), seen[-500:]
                    seen += message.data if isinstance(message.data, bytes) else message.data.encode()


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://elsewhere.example"}, {"Host": "elsewhere.example:8000"}, {"Origin": "null"}],
    ids=["origin", "host", "opaque"],
)
async def test_pages_from_elsewhere_are_refused(page: Page, headers: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as http:
        await until_it_listens(http, page)
        async with http.get(page.url, headers=headers) as answer:
            assert answer.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{page.url}/ws", headers=headers)
        assert refused.value.status == 403


async def test_ctrl_c_ends_it(page: Page) -> None:
    async with aiohttp.ClientSession() as http:
        await until_it_listens(http, page)
    page.process.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(page.process.wait, PATIENCE_S) == 0


def test_a_port_that_is_taken_is_said() -> None:
    command = [sys.executable, "-m", "rlb_top", "--replay", str(DATA), "--serve", "--port"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = subprocess.run([*command, port], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ran.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["--serve"], []),
        (["--socket", "a b", "--serve", "--port", "9"], ["--socket", "a b"]),
        (["--port=9", "--redis", "redis://x", "--serve"], ["--redis", "redis://x"]),
    ],
)
def test_a_page_is_started_with_the_same_arguments(given: list[str], kept: list[str]) -> None:
    assert _without_serving(given) == kept
