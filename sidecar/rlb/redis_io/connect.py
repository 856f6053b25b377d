"""Opening a connection: redis-py dials, encrypts, authenticates and names it; the link takes the socket over.

redis-py knows every way to reach a server (TCP, TLS, Unix socket, ACL users). Its own reading and retrying is not
used: it costs several times more per command, and its retries duplicate entries.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError

from rlb.errors import RlbError
from rlb.settings import RedisSettings


class ConnectError(RlbError):
    """No connection. `retry_after_s` asks for a longer wait than the backoff's (wrong credentials)."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Opened:
    """An open connection. The writer is held because it closes the socket when it is collected."""

    transport: asyncio.Transport
    writer: asyncio.StreamWriter


async def open_connection(
    settings: RedisSettings, name: str, attach: Callable[[asyncio.Transport], asyncio.Protocol]
) -> Opened:
    """Dial the configured server and hand its socket to the protocol that `attach` makes.

    The password file is read at every attempt, so that a rotated secret is picked up.

    Raises:
        ConnectError: unreachable, refused, or not authenticated; without address userinfo or secrets in its text.
    """
    try:
        dialled = _dialler(settings, name)
        async with asyncio.timeout(settings.connect_timeout_s * 2):
            await dialled.connect()  # type: ignore[no-untyped-call]
    except (RedisError, OSError, TimeoutError, RuntimeError) as error:
        # RuntimeError: uvloop's word for a socket that was reset between two steps of the handshake.
        if any(isinstance(each, AuthenticationError) for each in _chain(error)):
            # One attempt, then a long wait: repeated wrong passwords lock accounts and flood logs.
            refused = f"authentication refused by {_place(settings)}; check user and password"
            raise ConnectError(refused, settings.auth_retry_s) from None
        raise ConnectError(f"cannot connect to {_place(settings)} ({_cause(error, settings)})") from None
    # redis-py has no public way to give a connection away; tests/redis_io/test_connect.py fails if this changes.
    reader: asyncio.StreamReader = dialled._reader  # type: ignore[assignment]  # noqa: SLF001
    writer: asyncio.StreamWriter = dialled._writer  # type: ignore[assignment]  # noqa: SLF001
    dialled._reader = dialled._writer = None  # noqa: SLF001 - or it would close what is no longer its own
    transport: Any = writer.transport
    if transport.is_closing() or reader.at_eof():
        transport.abort()
        raise ConnectError("connection closed during the handshake")
    transport.set_protocol(attach(transport))
    return Opened(transport, writer)


def _dialler(settings: RedisSettings, name: str) -> Connection | UnixDomainSocketConnection:
    options: dict[str, Any] = dict(parse_url(settings.url or ""))
    kind = options.pop("connection_class", Connection)
    if settings.username is not None:
        options["username"] = settings.username
    password = _password(settings)
    if password is not None:
        options["password"] = password
    if issubclass(kind, SSLConnection):
        options |= {
            "ssl_ca_certs": _text(settings.tls_ca_file),
            "ssl_certfile": _text(settings.tls_cert_file),
            "ssl_keyfile": _text(settings.tls_key_file),
        }
    dialled: Connection | UnixDomainSocketConnection = kind(
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        client_name=f"rlb:{name}",
        socket_connect_timeout=settings.connect_timeout_s,
        socket_timeout=settings.connect_timeout_s,
        **options,
    )
    return dialled


def _password(settings: RedisSettings) -> str | None:
    if settings.password_file is not None:
        try:
            return settings.password_file.read_text().strip()
        except OSError as error:
            raise ConnectError(f"cannot read the password file ({type(error).__name__})", 5.0) from None
    return settings.password.get_secret_value() if settings.password is not None else None


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None


def _place(settings: RedisSettings) -> str:
    """Where the server should be, without user, password or database."""
    options = parse_url(settings.url or "")
    if "path" in options:
        return str(options["path"])
    return f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised for, down to the root: redis-py wraps what it catches."""
    deeper: BaseException | None = error
    while deeper is not None:
        yield deeper
        deeper = deeper.__cause__ or deeper.__context__


def _cause(error: BaseException, settings: RedisSettings) -> str:
    """The root of a failed attempt, in the system's words; never the text of redis-py, which may quote a command."""
    *_, cause = _chain(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate refused: {cause.verify_message}"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    if isinstance(cause, TimeoutError | asyncio.CancelledError):
        return f"no answer within {settings.connect_timeout_s:g} s"
    return type(cause).__name__
