"""Which server it is, and how far it is trusted."""

from __future__ import annotations

import pytest

from rlb.domain.server_version import LagTrust, parse_server_version


@pytest.mark.parametrize(
    ("info", "shown", "trust", "has_inactive"),
    [
        ("# Server\r\nredis_version:6.2.5\r\n", "redis 6.2.5", "never", False),
        ("redis_version:7.0.15\r\n", "redis 7.0.15", "never", False),
        ("redis_version:7.4.2\r\n", "redis 7.4.2", "never", True),
        ("redis_version:8.2.3\r\n", "redis 8.2.3", "always", True),
        ("redis_version:7.2.4\r\nvalkey_version:9.1.2\r\n", "valkey 9.1.2", "if_seen_right", True),
        ("redis_version:7.2.4\r\nvalkey_version:8.0.3-rc1\r\n", "valkey 8.0.3", "never", True),
    ],
)
def test_a_version_is_read(info: str, shown: str, trust: LagTrust, has_inactive: bool) -> None:
    version = parse_server_version(info)
    assert version is not None
    assert (str(version), version.lag_trust, version.has_inactive) == (shown, trust, has_inactive)


def test_a_server_that_names_no_version_is_not_known() -> None:
    assert parse_server_version("# Server\r\nuptime:3\r\n") is None
