"""`rlb acl`: the least-privilege Redis user for what rlb does with these settings."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rlb.cli.options import ConfigOption, JsonOption
from rlb.cli.output import note, print_json
from rlb.cli.run import setting

if TYPE_CHECKING:
    from rlb.domain.server_version import ServerVersion
    from rlb.settings import Settings

# As in rlb.redis_io.acl_user, which takes long to import; tests hold them against each other.
RoleName = Literal["sidecar", "observer", "top"]
FormatName = Literal["setuser", "aclfile"]

_VERSION = re.compile(r"(?:(redis|valkey)[ -]?)?v?(\d+(?:\.\d+){1,2})", re.ASCII | re.IGNORECASE)
_USER = re.compile(r"[A-Za-z0-9_.@-]{1,64}", re.ASCII)


def _check_user(name: str) -> str:
    if _USER.fullmatch(name) is None:
        raise typer.BadParameter("1 to 64 of A-Z a-z 0-9 _ . @ -")
    return name


def acl(
    config: ConfigOption = None,
    role: Annotated[
        RoleName,
        typer.Option(
            help="`sidecar` (rlb run), `observer` (rlb observe) or `top` (rlb-top --redis, which only reads)."
        ),
    ] = "sidecar",
    user: Annotated[str, typer.Option(metavar="NAME", help="Its name.", callback=_check_user)] = "rlb",
    server_version: Annotated[
        str | None,
        typer.Option(metavar="X.Y", help="Such as 7.0 or valkey-9.1; by default the server is asked."),
    ] = None,
    written_as: Annotated[
        FormatName,
        typer.Option("--format", help="`setuser`: a command for redis-cli; `aclfile`: a line for users.acl."),
    ] = "setuser",
    password_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Put in the digest (SHA-256) of the password in this file."),
    ] = None,
    redis_url: Annotated[str | None, setting("--redis-url", "URL", "Redis to ask, and its database.")] = None,
    stream_prefix: Annotated[str | None, setting("--stream-prefix", "TEXT", "What stream keys begin with.")] = None,
    patterns: Annotated[str | None, setting("--patterns", "LIST", "Keys to watch: globs or templates.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the Redis user with the fewest rights that rlb needs with these settings.

    Nothing is changed: the line is for an administrator, as in `rlb acl | redis-cli`. Without --password-file it has
    a placeholder that Redis refuses; a password itself is never taken or printed.
    """
    from rlb.redis_io.acl import OLDEST
    from rlb.redis_io.acl_user import NO_PASSWORD, user_line
    from rlb.settings import load_settings

    settings = load_settings(
        config, {"redis.url": redis_url, "stream.prefix": stream_prefix, "monitor.patterns": patterns}
    )
    version = _parsed(server_version) if server_version is not None else _asked(settings)
    if version.numbers < OLDEST:
        raise typer.BadParameter(f"rlb needs Redis {OLDEST[0]}.{OLDEST[1]} or newer, not {version}")
    password = NO_PASSWORD if password_file is None else _digest(password_file)
    line = user_line(role, settings, version, user=user, password=password, written_as=written_as)
    if as_json:
        print_json({"user": user, "role": role, "server": str(version), "line": line})
        return
    print(line)
    if password_file is None:
        note(f"put the password's digest in place of {NO_PASSWORD}, or name a file with --password-file")


def _parsed(text: str) -> ServerVersion:
    from rlb.domain.server_version import ServerVersion

    found = _VERSION.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"--server-version: expected one such as 7.0 or valkey-9.1, not {text!r}")
    numbers = tuple(map(int, found[2].split(".")))
    return ServerVersion("valkey" if (found[1] or "").lower() == "valkey" else "redis", numbers)


def _asked(settings: Settings) -> ServerVersion:
    import asyncio

    from rlb.errors import SettingsError
    from rlb.redis_io.identity import ask_version

    if settings.redis.url is None:
        raise SettingsError("RLB_REDIS__URL is not set: give the URL of the Redis to ask, or --server-version")
    # The one line that says what is wrong is the command's own.
    logging.getLogger("rlb").addHandler(logging.NullHandler())
    return asyncio.run(ask_version(settings.redis))


def _digest(file: Path) -> str:
    from rlb.redis_io.acl_user import digest_of

    try:
        password = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"--password-file: cannot read {file} ({type(error).__name__})") from None
    if not password:
        raise typer.BadParameter(f"--password-file: {file} is empty")
    return digest_of(password)
