"""The value types that settings are made of: each parses what an operator writes and says what it expected.

The text of every `ValueError` here completes the sentence "expected ...".
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    SecretStr,
    WithJsonSchema,
)
from pydantic_core import core_schema, from_json

from rlb.errors import SettingsError

MASK = "********"
SOCKET_PATH_MAX_BYTES = 107
"""`sun_path` of Linux holds 108 bytes, the last of which ends the string."""

_SYSTEM_FOLDER = "/run/rlb"
_SOCKET_NAME = "rlb.sock"
_REDIS_URL = (
    "redis://[user:password@]host[:port][/db], rediss://... (TLS) or unix://[user:password@]/path[?db=n], "
    "special characters of the password percent-encoded"
)
_DATABASE = r"\d{1,5}"
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d{1,5})?"
_SHOWABLE = re.compile(rf"{_HOST}(?:,{_HOST})*(?:/\w*)?|/[^?#@]*(?:\?db={_DATABASE})?")


@dataclass(frozen=True)
class Masked:
    """Marks a field that may hold a secret: `mask` gives what may be shown of it, in JSON and in errors."""

    mask: Callable[[str], str]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        serialization = core_schema.plain_serializer_function_ser_schema(
            lambda value: self.mask(str(value)), when_used="json-unless-none"
        )
        return cast("core_schema.CoreSchema", {**handler(source), "serialization": serialization})


def redact_url(url: str) -> str:
    """The URL with its password masked; whatever is not plainly a user name, hosts and a path is masked as well."""
    scheme, separator, rest = url.partition("://")
    if not separator or not re.fullmatch(r"[a-z][a-z0-9+]{0,19}", scheme):
        return MASK
    userinfo, at, location = rest.rpartition("@")
    if not _SHOWABLE.fullmatch(location):
        location = MASK
    user, colon, _ = userinfo.partition(":")
    shown_user = f"{user}:" if colon and re.fullmatch(r"[\w.-]*", user) else ""
    return f"{scheme}://{shown_user}{MASK}@{location}" if at else f"{scheme}://{location}"


def default_socket_path(environ: Mapping[str, str] | None = None) -> Path:
    """Where a sidecar listens unless told: the system's folder if we may write there, else one of our own."""
    environ = os.environ if environ is None else environ
    if os.access(_SYSTEM_FOLDER, os.W_OK | os.X_OK):
        return Path(_SYSTEM_FOLDER, _SOCKET_NAME)
    runtime_folder = environ.get("XDG_RUNTIME_DIR", "")
    if runtime_folder.startswith("/"):  # the XDG specification says to ignore a relative one
        return Path(runtime_folder, "rlb", _SOCKET_NAME)
    return Path(f"/tmp/rlb-{os.getuid()}", _SOCKET_NAME)  # noqa: S108  (the sidecar refuses a folder that is not ours)


def client_socket_path(environ: Mapping[str, str] | None = None) -> Path:
    """Where a client looks for its sidecar: RLB_SOCKET__PATH, else the default.

    A client of the system's sidecar often may use the socket but not write to its folder, so a usable socket
    there counts as well.
    """
    environ = os.environ if environ is None else environ
    if written := environ.get("RLB_SOCKET__PATH"):
        try:
            return check_socket_path(Path(written))
        except ValueError as error:
            raise SettingsError(f"RLB_SOCKET__PATH={written[:80]!r}: expected {error}") from None
    system_socket = Path(_SYSTEM_FOLDER, _SOCKET_NAME)
    return system_socket if os.access(system_socket, os.W_OK) else default_socket_path(environ)


def check_socket_path(path: Path) -> Path:
    """The path, if the kernel can bind a socket to it."""
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_MAX_BYTES:
        raise ValueError(f"a path of at most {SOCKET_PATH_MAX_BYTES} bytes (the kernel's limit), not {length}")
    if not path.name or "\0" in str(path):
        raise ValueError("the path of a socket file")
    return path


def check_redis_url(url: str) -> str:
    """The URL, if this version can connect to what it names."""
    url = url.strip()
    if url.startswith(("redis+sentinel://", "redis+cluster://")):
        raise ValueError(f"{_REDIS_URL}; {url.partition('://')[0]}:// is not supported by this version")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_REDIS_URL) from None
    if parts.scheme == "unix":
        is_good = not parts.hostname and parts.path and re.fullmatch(rf"(db={_DATABASE})?", parts.query)
    else:
        is_good = (
            parts.scheme in ("redis", "rediss")
            and re.fullmatch(r"[\w.:-]+", parts.hostname or "")
            and port != 0
            and not parts.query
            and re.fullmatch(rf"(/({_DATABASE})?)?", parts.path)
        )
    # urlsplit drops line breaks and takes schemes in capitals; what it was given is what redis-py gets.
    is_plain = url.startswith(f"{parts.scheme}://") and url.isprintable() and " " not in url
    if not is_good or not is_plain or parts.fragment:
        raise ValueError(_REDIS_URL)
    return url


def check_prefix(prefix: str) -> str:
    """The prefix, if keys under it can be told from any other."""
    if not re.fullmatch(r"[A-Za-z0-9:_.-]{1,64}", prefix) or prefix.endswith(":"):
        raise ValueError("1 to 64 of A-Z a-z 0-9 : _ . - and no colon at the end")
    return prefix


def check_host(host: str) -> str:
    """The host, if it can name an interface to listen on."""
    if not re.fullmatch(r"[\w.:%-]{1,255}", host):
        raise ValueError("a host name or an IP address")
    return host


def _blank_as_none(value: object) -> object:
    """Templates write an unset variable as an empty one."""
    return None if isinstance(value, str) and not value.strip() else value


def _lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _parse_mode(value: object) -> object:
    """An int is taken as it is: YAML and TOML have their own octal notation (`0660`, `0o660`)."""
    mode = int(value, 8) if isinstance(value, str) and re.fullmatch(r"(0o?)?[0-7]{3}", value) else value
    if not isinstance(mode, int) or isinstance(mode, bool) or not 0 <= mode <= 0o777:
        raise ValueError("an octal file mode from 0000 to 0777, such as 0660")
    return mode


def _parse_list(value: object) -> object:
    """A list, or its text: JSON, or items with commas between."""
    if not isinstance(value, str):
        return [value] if isinstance(value, int) else value
    if value.lstrip().startswith("["):
        try:
            return from_json(value)
        except ValueError:
            return value
    return [item.strip() for item in value.split(",")] if value.strip() else []


FileMode = Annotated[
    int,
    BeforeValidator(_parse_mode),
    PlainSerializer(lambda mode: format(mode, "04o"), when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": "^(0o?)?[0-7]{3}$"},
                {"type": "integer", "minimum": 0, "maximum": 511},
            ]
        }
    ),
]
Patterns = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[!-~]+$")], ...], BeforeValidator(_parse_list)
]
KernelIds = Annotated[tuple[Annotated[int, Field(ge=0, le=2**32 - 2)], ...], BeforeValidator(_parse_list)]
"""User or group ids; the last of 32 bits means "none" to the kernel."""
SocketPath = Annotated[Path, AfterValidator(check_socket_path)]
HostName = Annotated[str, AfterValidator(check_host)]
KeyPrefix = Annotated[
    str,
    AfterValidator(check_prefix),
    WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z0-9:_.-]{0,63}[A-Za-z0-9_.-]$"}),
]
OptionalText = Annotated[str | None, BeforeValidator(_blank_as_none)]
OptionalPath = Annotated[Path | None, BeforeValidator(_blank_as_none)]
RedisUrl = Annotated[
    Annotated[str, AfterValidator(check_redis_url)] | None, BeforeValidator(_blank_as_none), Masked(redact_url)
]
Password = Annotated[SecretStr | None, BeforeValidator(_blank_as_none), Masked(lambda _: MASK)]
LowerCase = BeforeValidator(_lower_case)
