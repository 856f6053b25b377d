"""Patterns of keys: which match, and what label they give."""

from __future__ import annotations

import pytest

from rlb.domain.key_pattern import parse_pattern

LLAMA = "meta-llama/Llama-3.1-8B:free"


@pytest.mark.parametrize(
    ("pattern", "key", "label"),
    [
        ("llm:stream:{session}:{model}", f"llm:stream:s-1:{LLAMA}", LLAMA),
        ("llm:stream:{session}:{model}", "llm:stream:s-1", None),
        ("orders:{region}", "orders:eu", "eu"),
        ("orders:{region}", "orders:eu:1", "eu:1"),
        ("orders:{region}:*", "orders:eu:1", "eu"),
        ("orders:{region}:*", "orders:eu:1:2", "eu"),
        ("orders:{region}:*", "orders::1", None),
        ("orders:*", "orders:eu:1", "orders:*"),
        ("orders:?", "orders:12", None),
        ("orders:[ab]", "orders:b", "orders:[ab]"),
        ("orders:[ab]", "orders:c", None),
        ("a.b:*", "axb:1", None),
        ("jobs", "jobs", "jobs"),
        ("{tenant}:{kind}", "t:k", "t"),
        ("{a}:{a}", "x:y", "x"),
        ("orders:{region", "orders:{region", "orders:{region"),
        ("*", "line\nbreak", "*"),
        ("{x}", "line\nbreak", "other"),
        ("{x}", "y" * 257, "other"),
    ],
)
def test_a_key_gets_its_label(pattern: str, key: str, label: str | None) -> None:
    assert parse_pattern(pattern).match(key) == label


def test_a_template_is_swept_as_a_glob() -> None:
    assert parse_pattern("orders:{region}:v?:{id}").glob == "orders:*:v?:*"
