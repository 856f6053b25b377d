"""`rlb-top --serve`: the screen in a browser of this machine, each page with a process of its own."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

HOST = "127.0.0.1"

NAMES = (HOST, "localhost")
"""What this machine's own pages call it. A page from elsewhere is refused, so that no site that somebody visits can
reach in: neither by its own name for this address, nor as the origin of a connection."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LocalServer(Server):
    """Textual's server for this machine's browser alone, which does not print what it runs: it may hold a password."""

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(_only_local)
        return app

    async def on_startup(self, app: web.Application) -> None:
        del app
        print(f"rlb-top: serving on {self.public_url}, without actions; Ctrl-C ends it", file=sys.stderr, flush=True)


@web.middleware
async def _only_local(request: web.Request, handler: Handler) -> web.StreamResponse:
    origin = request.headers.get("Origin")
    if urlsplit(f"//{request.host}").hostname not in NAMES or (
        origin is not None and urlsplit(origin).netloc != request.host
    ):
        raise web.HTTPForbidden(text="only for pages of this server, on this machine")
    return await handler(request)


def serve(argv: Sequence[str], port: int) -> int:
    """Serve until SIGINT or SIGTERM; each page runs rlb-top with the same arguments, and `--read-only`."""
    command = shlex.join([sys.executable, "-m", "rlb_top", *_without_serving(argv), "--read-only"])
    try:
        LocalServer(command, host=HOST, port=port, title="rlb-top").serve()
    except OSError as error:
        reason = error.strerror or str(error)
        print(f"rlb-top: cannot listen on {HOST}:{port} ({reason}); name another --port", file=sys.stderr, flush=True)
        return 1
    return 0


def _without_serving(argv: Sequence[str]) -> list[str]:
    """The arguments but those of serving."""
    kept: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--port":
            next(words, None)
        elif word != "--serve" and not word.startswith("--port="):
            kept.append(word)
    return kept
