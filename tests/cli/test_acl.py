"""`rlb acl` prints a user that the server takes, by what it is told or what it asks."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import get_args

import pytest

from rlb.cli.acl import FormatName, RoleName
from rlb.redis_io.acl_user import NO_PASSWORD, Format, Role
from tests.cli.processes import rlb
from tests.servers.process import RedisServer

PASSWORD = "not-a-secret"


def test_choices_are_those_of_the_rules() -> None:
    """The command names them itself, as importing the rules takes long."""
    assert (get_args(RoleName), get_args(FormatName)) == (get_args(Role), get_args(Format))


def test_the_server_is_asked_and_takes_the_line(server: RedisServer, tmp_path: Path) -> None:
    """Each kind gets what it knows; the password itself is not in the line."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    for role in get_args(RoleName):
        ran = rlb("acl", "--redis-url", server.url, "--role", role, "--password-file", str(tmp_path / "password"))
        line = ran.good().out
        assert f"#{hashlib.sha256(PASSWORD.encode()).hexdigest()}" in line
        assert PASSWORD not in line + ran.err
        assert server.command(*line.split()) == b"OK"
        assert server.command("AUTH", "rlb", PASSWORD) == b"OK"
        server.command("ACL", "DELUSER", "rlb")


def test_without_a_password_there_is_a_place_for_its_digest() -> None:
    ran = rlb("acl", "--server-version", "7.0", "--format", "aclfile", "--user", "bridge").good()
    assert ran.out.startswith(f"user bridge on {NO_PASSWORD} ")
    assert NO_PASSWORD in ran.err


def test_settings_say_which_keys(tmp_path: Path) -> None:
    """Prefix, patterns, scope and database are those of the settings."""
    config = tmp_path / "rlb.yaml"
    config.write_text("stream: {prefix: 'team:tokens'}\nmonitor: {scope: all, patterns: ['orders:{region}']}\n")
    out = rlb("acl", "--config", str(config), "--server-version", "valkey-9.1").good().out
    assert " ~team:tokens:* " in out
    assert "(%R~orders:* " in out
    assert "(~team:observer " in out
    assert "+select" not in out
    env = {"RLB_REDIS__URL": "redis://nowhere/3"}
    assert " +select " in rlb("acl", "--server-version", "7.0", env=env).good().out
    assert " ~orders:* " in rlb("acl", "--config", str(config), "--server-version", "6.2").good().out


def test_json_has_the_line() -> None:
    found = json.loads(rlb("acl", "--server-version", "7.2.4", "--role", "top", "--json").good().out)
    assert found["server"] == "redis 7.2.4"
    assert found["line"].startswith("ACL SETUSER rlb reset on ")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 78, "RLB_REDIS__URL is not set: give the URL of the Redis to ask, or --server-version"),
        (("--server-version", "new"), 2, "--server-version: expected one such as 7.0 or valkey-9.1"),
        (("--server-version", "5.0"), 2, "rlb needs Redis 6.2 or newer, not redis 5.0"),
        (("--server-version", "7.0", "--user", "a b"), 2, "1 to 64 of"),
        (("--server-version", "7.0", "--role", "admin"), 2, "Invalid value for '--role'"),
        (("--server-version", "7.0", "--password-file", "/nowhere/x"), 2, "cannot read /nowhere/x (FileNotFoundError)"),
        (("--server-version", "7.0", "--password-file", "/dev/null"), 2, "/dev/null is empty"),
        (("--redis-url", "unix:///nowhere/s"), 69, "redis_unavailable"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(arguments: tuple[str, ...], code: int, told: str) -> None:
    ran = rlb("acl", *arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)
    assert told in ran.err
