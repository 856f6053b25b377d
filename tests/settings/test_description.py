"""Description: the table, the schema and the effective settings follow from the tree."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import SecretStr

from rlb.settings import RedisSettings, Settings, effective, json_schema, load_settings, settings_table
from rlb.settings.description import leaves


def test_contract() -> None:
    """The names and defaults that scripts rely on."""
    defaults = {leaf.variable: leaf.field.default for leaf in leaves().values()}
    promised = {
        "RLB_SOCKET__MODE": 0o660,
        "RLB_SOCKET__ALLOW_UIDS": (),
        "RLB_SOCKET__ALLOW_GIDS": (),
        "RLB_METRICS__HOST": "127.0.0.1",
        "RLB_METRICS__PORT": 9464,
        "RLB_REDIS__URL": None,
        "RLB_REDIS__PASSWORD_FILE": None,
        "RLB_STREAM__PREFIX": "llm:stream",
        "RLB_STREAM__MAX_LENGTH": 10_000,
        "RLB_STREAM__RETENTION_MS": 3_600_000,
        "RLB_GROUPS__MAX_DELIVERIES": 5,
        "RLB_GROUPS__CLAIM_IDLE_MS": 60_000,
        "RLB_LOG__LEVEL": "info",
        "RLB_LOG__FORMAT": "json",
    }
    assert defaults.items() >= promised.items()
    assert "RLB_SOCKET__PATH" in defaults


def test_each_setting_is_documented_and_bounded() -> None:
    """A setting says what it means; a number has both bounds, a duration or size its unit."""
    for leaf in leaves().values():
        assert leaf.field.description, leaf.key
        assert leaf.expectation, leaf.key
        if leaf.schema.get("type") in ("integer", "number"):
            assert {"minimum", "maximum"} <= leaf.schema.keys(), leaf.key
        if leaf.schema.get("type") == "number":
            assert leaf.key.endswith(("_s", "_seconds")), leaf.key


def test_table_has_a_row_for_each_setting() -> None:
    """One row of three cells a setting, with its default as it would be written."""
    _, _, *rows = settings_table().splitlines()
    assert [row.split(" | ")[0] for row in rows] == [f"| `{leaf.variable}`" for leaf in leaves().values()]
    assert all(row.count(" | ") == 2 for row in rows)
    assert "| `RLB_SOCKET__MODE` | `0660` | File mode of the socket, octal. |" in rows


def test_schema_covers_the_tree_and_nothing_else() -> None:
    """The schema refuses unknown keys, and describes every known one."""
    schema = json_schema()
    objects = [schema, *schema["$defs"].values()]
    assert all(item["additionalProperties"] is False for item in objects)
    assert sum(len(item["properties"]) for item in schema["$defs"].values()) + 1 == len(leaves())
    json.dumps(schema)


def test_effective_masks_secrets() -> None:
    """Secrets are masked, their absence is not."""
    shown = effective(Settings(redis=RedisSettings(url="rediss://app@h/1", password=SecretStr("SESAME"))))
    assert shown["redis"]["url"] == "rediss://********@h/1"
    assert shown["redis"]["password"] == "********"
    assert effective(Settings())["redis"]["password"] is None


def test_effective_reads_back(tmp_path: Path) -> None:
    """The effective settings are a file that gives the same settings again."""
    environ = {"RLB_SOCKET__ALLOW_UIDS": "0,33", "RLB_SOCKET__MODE": "0600", "RLB_REDIS__URL": "redis://h"}
    settings = load_settings(environ=environ)
    file = tmp_path / "rlb.yaml"
    file.write_text(json.dumps(effective(settings)))
    assert load_settings(file, environ={}) == settings
