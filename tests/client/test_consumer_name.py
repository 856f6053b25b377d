"""The default name of a consumer is one that the sidecar takes, and tells readers of one process apart."""

from __future__ import annotations

import os
import socket

import pytest

from rlb.client.consumer_name import consumer_name
from rlb.domain.stream_key import checked_name


def test_it_names_host_and_process() -> None:
    """The same every time, so that a reader that comes back finds what it had."""
    assert consumer_name() == consumer_name()
    assert consumer_name().endswith(f"-{os.getpid()}")


def test_taken_names_are_numbered() -> None:
    """The first free number is taken."""
    name = consumer_name()
    assert consumer_name({name, f"{name}-2"}) == f"{name}-3"


@pytest.mark.parametrize("host", ["", "büro 7", "x" * 300, "a{b}"])
def test_any_host_name_gives_a_name_that_is_taken(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Length and characters are within the rule for names."""
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    name = consumer_name({consumer_name()})
    assert checked_name("consumer", name) == name
