"""One request and its response, as uvicorn runs them, and what may be said of an app that fails on the way."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Mapping
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from rlb.api.problems import send_problem
from rlb.errors import InternalError

MAX_FRAMES = 5


class RequestCycle(RequestResponseCycle):
    """The parent answers for an app that failed with plain text; this one with a problem document."""

    async def send_500_response(self) -> None:
        error = InternalError("The sidecar failed on this request.")
        await send_problem(cast("Any", self.send), error, _request_id(self.scope))


def _request_id(scope: Mapping[str, Any]) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), None)


class _FailureLog(logging.Logger):
    """Stands where uvicorn logs. It says where an app failed, not with what: that may be somebody's prompt."""

    def __init__(self) -> None:
        super().__init__("rlb.http", logging.INFO)

    def error(self, msg: object, *_args: object, exc_info: Any = None, **_others: Any) -> None:
        if isinstance(exc_info, asyncio.CancelledError):
            return  # cut off by a stop, which says so itself
        if "without completing response" in str(msg):
            return  # broken off on purpose, by who has said why: only streams can be left so, and they end or raise
        extra: dict[str, object] = {"reason": str(msg).strip()}
        if isinstance(exc_info, BaseException):
            frames = traceback.extract_tb(exc_info.__traceback__)[-MAX_FRAMES:]
            extra["error_type"] = type(exc_info).__name__
            extra["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        _log.error("http.app_failed", extra=extra)


_log = logging.getLogger("rlb.http")
FAILURES = _FailureLog()
