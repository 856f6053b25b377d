"""HTTP/1.1 to one sidecar over its Unix socket: calls, streamed answers, and what their failures mean."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from pydantic_core import from_json, to_json
from yarl import URL

from rlb.client.line_splitter import LineSplitter
from rlb.client.patience import Patience
from rlb.errors import ApiError, RlbError, SidecarUnreachableError, from_problem

MAX_CALLS = 32
"""Short calls on their way at once; one more waits for its turn. Streams do not count."""

KEEP_ALIVE_S = 15.0
"""How long an unused connection is kept; less than the sidecar keeps it, so that it is never closed under a call."""

LARGE_BYTES = 256 * 1024
"""Bodies above this are sent in pieces."""

JSON = "application/json"
NDJSON = "application/x-ndjson"

_STANDARD_MEMBERS = {"type", "title", "status", "detail", "code"}
_NO_LIMIT = aiohttp.ClientTimeout(total=None)


class LinkError(SidecarUnreachableError):
    """The connection could not be made, or was lost. `was_sent`: the sidecar may have carried the request out."""

    def __init__(self, path: Path, reason: str, *, was_sent: bool, is_timeout: bool = False) -> None:
        super().__init__(f"no sidecar answers at {path}: {reason}")
        self.was_sent = was_sent
        self.is_timeout = is_timeout


def is_passing(error: RlbError) -> bool:
    """Whether the same request may go through a little later."""
    return isinstance(error, LinkError) or (isinstance(error, ApiError) and error.status in (429, 503))


class Lines:
    """The lines of a streamed answer."""

    def __init__(self, response: aiohttp.ClientResponse, path: Path) -> None:
        self.status = response.status
        self._content = response.content
        self._path = path
        self._splitter = LineSplitter()

    async def next(self) -> list[bytes] | None:
        """The lines that came together, perhaps none; None at the end of the answer.

        Raises:
            SidecarUnreachableError: the connection was lost.
        """
        with _translated(self._path):
            piece = await self._content.readany()
        return self._splitter.feed(piece) if piece else None


class Transport:
    """Connections to the sidecar at `path`, made as they are needed.

    `patience_s` is how long a sidecar that has answered before may be away; `timeout_s` is how long it may take to
    answer a call.
    """

    def __init__(self, path: Path, *, patience_s: float, timeout_s: float) -> None:
        self.path = path
        self.patience_s = patience_s
        self._timeout_s = timeout_s
        self._was_reached = False
        self._calls = asyncio.Semaphore(MAX_CALLS)
        # Unlimited: each tail and subscription holds a connection of its own; calls are limited above.
        connector = aiohttp.UnixConnector(os.fspath(path), limit=0, keepalive_timeout=KEEP_ALIVE_S)
        self._http = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept-Encoding", "User-Agent"),
            timeout=_NO_LIMIT,
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    def patience(self, limit_s: float | None = None) -> Patience:
        """A fresh patience, with this transport's limit unless another is given."""
        return Patience(self.patience_s if limit_s is None else limit_s, self._may_pass)

    def _may_pass(self, error: RlbError) -> bool:
        # Whoever took a request and dropped it was there.
        return self._was_reached or not isinstance(error, LinkError) or error.was_sent

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        repeatable: bool = True,
        extra_s: float = 0.0,
    ) -> Any:
        """The answer's JSON; None where it has none.

        A lost connection is made again and the request repeated if that does no harm: if nothing was sent, or if it
        is `repeatable`. `extra_s` is added to the time that the answer may take; such a call waits on purpose, so it
        does not take a turn from the others.

        Raises:
            ApiError: the sidecar refused, by the class of its code.
            SidecarUnreachableError: no sidecar answers.
        """
        data = None if body is None else to_json(body)
        patience = self.patience()
        while True:
            try:
                if extra_s:
                    return await self._ask(method, path, data, params, self._timeout_s + extra_s)
                async with self._calls:
                    return await self._ask(method, path, data, params, self._timeout_s)
            except LinkError as error:
                if error.is_timeout or (error.was_sent and not repeatable):
                    raise
                await patience.pause(error)

    async def probe(self, path: str, params: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Status and JSON of a GET, whatever the status; no second attempt.

        Raises:
            SidecarUnreachableError: no sidecar answers.
        """
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        with _translated(self.path):
            async with self._http.get(_url(path, params), timeout=timeout) as response:
                self._was_reached = True
                return response.status, _decoded(await response.read())

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: AsyncIterable[bytes] | None = None,
        silence_s: float | None = None,
    ) -> AsyncIterator[Lines]:
        """A streamed answer, while `body` may still be on its way; leaving the block ends the connection.

        `silence_s` is how long the sidecar may say nothing before the connection counts as lost.

        Raises:
            ApiError: the sidecar refused, by the class of its code.
            SidecarUnreachableError: no sidecar answers.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_read=silence_s)
        with _translated(self.path):
            response = await self._http.request(method, _url(path, params), data=body, headers=headers, timeout=timeout)
        self._was_reached = True
        try:
            if response.status >= 400:
                with _translated(self.path):
                    raise _refusal(response.status, await response.read())
            yield Lines(response, self.path)
        finally:
            response.close()

    async def _ask(
        self, method: str, path: str, data: bytes | None, params: Mapping[str, str] | None, timeout_s: float
    ) -> Any:
        headers = None if data is None else {"Content-Type": JSON}
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        url = _url(path, params)
        # aiohttp copies large bytes in one go, and warns of it; a file it reads in pieces.
        payload = io.BytesIO(data) if data is not None and len(data) > LARGE_BYTES else data
        with _translated(self.path):
            async with self._http.request(method, url, data=payload, headers=headers, timeout=timeout) as response:
                self._was_reached = True
                answer = await response.read()
        if response.status >= 400:
            raise _refusal(response.status, answer)
        return _decoded(answer)


def _url(path: str, params: Mapping[str, str] | None) -> URL:
    """The path as it is: a model id may hold `//` or `..`, which are not to be tidied up."""
    return URL(f"http://rlb{quote(path, safe='/:@=+~')}", encoded=True).with_query(params)


def _decoded(answer: bytes) -> Any:
    try:
        return from_json(answer) if answer else None
    except ValueError:
        return None


def _refusal(status: int, answer: bytes) -> ApiError:
    problem = _decoded(answer)
    if not isinstance(problem, dict) or "code" not in problem:
        return ApiError(f"the answer has status {status} and is none of a sidecar's")
    error = from_problem(problem)
    error.members = {name: value for name, value in problem.items() if name not in _STANDARD_MEMBERS}
    return error


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn aiohttp's errors into ours, once and here."""
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        raise LinkError(path, _reason(error), was_sent=False) from error
    except TimeoutError as error:
        raise LinkError(path, "it takes too long to answer", was_sent=True, is_timeout=True) from error
    except (aiohttp.ClientError, OSError) as error:
        raise LinkError(path, _reason(error), was_sent=True) from error


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the connection was closed in the middle of an answer"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else type(error).__name__
