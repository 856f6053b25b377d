"""docs/redis-acl.md is true: its lines and its table are those of the command."""

from __future__ import annotations

import re

import pytest

from rlb.domain.server_version import ServerVersion
from rlb.redis_io.acl import GRANTS
from rlb.redis_io.acl_user import NO_PASSWORD, ROLES, Role, plain_glob, rules
from rlb.settings import Settings
from tests.acl_tables import PAGE, with_tables


def test_lines_and_table_are_current() -> None:
    """The part between the marks is what `rlb acl` prints (`make docs` writes it)."""
    assert with_tables(PAGE.read_text()) == PAGE.read_text()


def test_every_command_is_explained() -> None:
    rows = re.findall(r"^\|[^|]*\| `([a-z_\\|]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert {row.replace("\\", "") for row in rows} == {grant.command for grant in GRANTS}


def test_the_placeholder_is_the_one_that_is_printed() -> None:
    assert f"`{NO_PASSWORD}`" in PAGE.read_text()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("numbers", [(7, 2, 4), (8, 0, 0), (9, 1, 2)])
def test_valkey_takes_what_redis_7_2_takes(role: Role, numbers: tuple[int, ...]) -> None:
    valkey = rules(role, Settings(), ServerVersion("valkey", numbers))
    assert valkey == rules(role, Settings(), ServerVersion("redis", (7, 2)))


@pytest.mark.parametrize(
    ("pattern", "plain"),
    [
        ("orders:*", "orders:*"),
        ("a[bc]d?", "a[bc]d?"),
        ("{tag}:*", "{tag}:*"),
        ("a b", "a?b"),
        ("it's", "it?s"),
        (r"a\*b", "a?b"),
        ("(x)", "?x?"),
        ('[a"]b', "?b"),
        ("é", "??"),
    ],
)
def test_patterns_need_no_quotes(pattern: str, plain: str) -> None:
    """Whatever a shell, redis-cli or an ACL file would read otherwise matches any character."""
    assert plain_glob(pattern) == plain
