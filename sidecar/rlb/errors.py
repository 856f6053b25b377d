"""Every failure that an app or an operator can act on, with the stable code of its problem document.

`ApiError` subclasses are what the socket answers (RFC 9457); each class fixes code, HTTP status and title, and
the instance adds a detail. A detail names keys, ids, sizes and limits, never a token, a prompt or a secret.
"""

from __future__ import annotations

from typing import Any, ClassVar


class RlbError(Exception):
    """Root of everything that rlb raises on purpose."""


class SettingsError(RlbError):
    """A setting is unknown or bad; the message names key, value and expectation in one line (exit 78)."""


class StartError(RlbError):
    """The sidecar cannot start: a live socket at its path, a missing extra, a folder that is not ours."""


class SidecarUnreachableError(RlbError):
    """No sidecar answers at the socket (exit 69)."""


class ApiError(RlbError):
    """A failure with a stable code. `retry_after_s` is sent as Retry-After where it is set."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retry_after_s: ClassVar[int | None] = None

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members
        """Extension members of the problem document (RFC 9457, section 3.2)."""


class InvalidRequestError(ApiError):
    """The bytes are not an HTTP/1.1 request that can be answered safely."""

    code, status, title = "invalid_request", 400, "Invalid HTTP request"


class InvalidJsonError(ApiError):
    """The body or line is not JSON."""

    code, status, title = "invalid_json", 400, "Not JSON"


class InvalidMessageError(ApiError):
    """JSON, but not the object this operation takes."""

    code, status, title = "invalid_message", 400, "Invalid message"


class InvalidIdError(ApiError):
    """Not an entry id (`<milliseconds>-<sequence>`)."""

    code, status, title = "invalid_id", 400, "Invalid entry id"


class PeerNotAllowedError(ApiError):
    """The peer's uid and gid are not on the socket's allow-list."""

    code, status, title = "peer_not_allowed", 403, "Peer not allowed"


class NotFoundError(ApiError):
    """No such path."""

    code, status, title = "not_found", 404, "Not found"


class StreamNotFoundError(ApiError):
    """The stream never existed, as far as Redis and the index of streams know."""

    code, status, title = "stream_not_found", 404, "Stream not found"


class GroupNotFoundError(ApiError):
    """The stream is there, the consumer group is not."""

    code, status, title = "group_not_found", 404, "Consumer group not found"


class MethodNotAllowedError(ApiError):
    """The path is there, the method is not."""

    code, status, title = "method_not_allowed", 405, "Method not allowed"


class RequestTimeoutError(ApiError):
    """The request was not complete within its deadline."""

    code, status, title = "request_timeout", 408, "Request not complete in time"


class FencedError(ApiError):
    """Another writer has taken this generation's stream over."""

    code, status, title = "fenced", 409, "Fenced"


class WrongTypeError(ApiError):
    """The key holds something other than a stream."""

    code, status, title = "wrong_type", 409, "Not a stream"


class ConsumerBusyError(ApiError):
    """The consumer has entries pending, which would be lost with it."""

    code, status, title = "consumer_busy", 409, "Consumer has something pending"


class StreamGoneError(ApiError):
    """The stream existed and has expired or been deleted."""

    code, status, title = "stream_gone", 410, "Stream gone"


class TooLargeError(ApiError):
    """A message, line or body is over its limit."""

    code, status, title = "too_large", 413, "Too large"


class UnsupportedMediaTypeError(ApiError):
    """The Content-Type is none that this operation takes."""

    code, status, title = "unsupported_media_type", 415, "Unsupported media type"


class OverloadedError(ApiError):
    """A bound was reached; the same call may go through later."""

    code, status, title = "overloaded", 429, "Overloaded"
    retry_after_s = 1


class RedisUnavailableError(ApiError):
    """Redis did not answer within the deadline."""

    code, status, title = "redis_unavailable", 503, "Redis unavailable"
    retry_after_s = 1


class RedisReadOnlyError(ApiError):
    """Redis refuses writes: a replica, a failed disk, or too few replicas."""

    code, status, title = "redis_read_only", 503, "Redis refuses writes"
    retry_after_s = 1


class RedisOutOfMemoryError(ApiError):
    """Redis is at maxmemory and refuses writes."""

    code, status, title = "redis_out_of_memory", 503, "Redis out of memory"
    retry_after_s = 1


class DrainingError(ApiError):
    """The sidecar is shutting down and takes nothing new."""

    code, status, title = "draining", 503, "Draining"
    retry_after_s = 1


class UnsupportedByServerError(ApiError):
    """This Redis version lacks what was asked for."""

    code, status, title = "unsupported_by_server", 501, "Not supported by this Redis"


class InternalError(ApiError):
    """A fault of rlb itself; the log has the request id."""

    code, status, title = "internal", 500, "Internal error"


def _subclasses(root: type[ApiError]) -> dict[str, type[ApiError]]:
    return {kind.code: kind for kind in root.__subclasses__()}


BY_CODE: dict[str, type[ApiError]] = _subclasses(ApiError)
"""Every code that the API may answer, and its class."""


def from_problem(problem: dict[str, Any]) -> ApiError:
    """The exception for a problem document or an error line, so that client code can catch by class."""
    kind = BY_CODE.get(str(problem.get("code")), ApiError)
    error = kind(str(problem.get("detail") or problem.get("title") or kind.title))
    return error


def place_of(error: BaseException) -> str:
    """File and line where an exception was raised: what a log may tell of it, as its text may hold payload."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
