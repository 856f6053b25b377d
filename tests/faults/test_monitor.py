"""A monitor whose Redis fails: that is visible, nothing stale is shown, nothing crashes, and it recovers by itself."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from rlb.monitor.poller import MAX_GROUPS
from tests.conftest import OwnServer
from tests.monitor.oracle.wire import Command, Wire
from tests.servers.kinds import VALKEY_9
from tests.servers.process import RedisServer
from tests.support.metrics import Looks
from tests.support.sidecar import RunningSidecar, settings_of

KEY = "llm:stream:s-1:m"
LAG = 3
WATCHING: dict[str, Any] = {
    "monitor": {"scope": "all", "interval_seconds": 0.1, "idle_interval_seconds": 0.1, "sweep_seconds": 0.2},
}
GAUGES = (
    "rlb_stream_count",
    "rlb_group_lag",
    "rlb_group_lag_age_seconds",
    "rlb_group_lag_streams",
    "rlb_group_streams",
)


def write(server: RedisServer, *commands: Command) -> None:
    with Wire(server) as wire:
        for reply in wire.ask(commands):
            assert not isinstance(reply, Exception), reply


def lagging(key: str = KEY) -> list[Command]:
    """A stream with a group that has not been handed `LAG` entries."""
    adds: list[Command] = [("XADD", key, "*", "data", "x")] * (LAG + 2)
    read: Command = ("XREADGROUP", "GROUP", "g", "c", "COUNT", 2, "STREAMS", key, ">")
    return [*adds, ("XGROUP", "CREATE", key, "g", "0"), read]


def watching(path: Path, server: RedisServer, **redis: Any) -> RunningSidecar:
    """A sidecar that watches all streams; it is there before its Redis is found to be in order."""
    return RunningSidecar(settings_of(path, server.url, **WATCHING, redis=redis), is_redis_up=False)


def shows_lag(looks: Looks, entries: float = LAG) -> None:
    """Wait until the lag is shown."""
    looks.until(lambda: looks.value("rlb_group_lag", group="g") == entries, f"a lag of {entries}")
    looks.until(lambda: looks.component("monitor")["state"] == "up", "a healthy monitor")


def shown(looks: Looks) -> set[str]:
    """The gauges that have a value."""
    return {name for name in GAUGES if looks.value(name) is not None}


def test_redis_that_is_gone(short_tmp: Path, own_server: OwnServer) -> None:
    """What was polled vanishes, what was counted stays, and all of it comes back with Redis."""
    server = own_server()
    write(server, *lagging())
    with watching(short_tmp / "s", server) as sidecar:
        looks = Looks(sidecar)
        shows_lag(looks)
        looks.until(lambda: looks.value("rlb_redis_up") == 1, "rlb_redis_up 1")
        write(server, *[("XADD", KEY, "*", "data", "x")] * 4)
        looks.until(lambda: looks.value("rlb_stream_entries_added_total", model="m") == 4, "four new entries")
        server.kill()
        looks.until(lambda: looks.value("rlb_redis_up") == 0, "rlb_redis_up 0")
        looks.until(lambda: shown(looks) == set(), "the end of stale gauges")
        assert looks.value("rlb_stream_entries_added_total", model="m") == 4
        looks.until(lambda: looks.component("monitor")["state"] == "down", "a monitor that is down")
        assert looks.component("monitor")["reason"]
        looks.until(lambda: looks.value("rlb_poll_errors_total", error_type="unavailable"), "failed polls")
        assert looks.component("redis")["state"] == "down"
        assert looks.get("/livez")[0] == 200
        server.start()
        write(server, *lagging())
        shows_lag(looks)
        looks.until(lambda: looks.value("rlb_redis_up") == 1, "rlb_redis_up 1")
        assert looks.value("rlb_poll_errors_total", error_type="internal") in (None, 0)


def test_redis_that_answers_nothing(short_tmp: Path, own_server: OwnServer) -> None:
    """A frozen Redis holds up neither scrapes nor health, and is not taken for one without lag."""
    server = own_server()
    write(server, *lagging())
    with watching(short_tmp / "s", server, reply_timeout_s=0.5, connect_timeout_s=0.5) as sidecar:
        looks = Looks(sidecar)
        shows_lag(looks)
        server.pause()
        try:
            looks.until(lambda: looks.value("rlb_group_lag") is None, "the end of stale gauges")
            looks.until(lambda: looks.value("rlb_redis_up") == 0, "rlb_redis_up 0")
            looks.until(lambda: shown(looks) == set(), "the end of the other gauges")
            looks.until(lambda: looks.component("monitor")["state"] == "down", "a monitor that is down")
        finally:
            server.resume()
        shows_lag(looks)
        looks.until(lambda: looks.value("rlb_redis_up") == 1, "rlb_redis_up 1")


def test_user_who_may_not_ask(short_tmp: Path, own_server: OwnServer) -> None:
    """A user without XINFO GROUPS writes as ever; the lag is not shown as 0, and the refusal is named."""
    server = own_server(VALKEY_9, config=("user watcher on >pw ~* &* +@all -xinfo|groups",))
    write(server, *lagging())
    with watching(short_tmp / "s", server, username="watcher", password="pw") as sidecar:
        looks = Looks(sidecar)
        looks.until(lambda: looks.value("rlb_poll_errors_total", error_type="NOPERM"), "refused commands")
        looks.until(lambda: "NOPERM" in str(looks.component("monitor")["reason"]), "a monitor that says why")
        looks.until(lambda: looks.component("monitor")["state"] == "down", "a monitor that is down")
        looks.until(lambda: looks.value("rlb_redis_up") == 1, "rlb_redis_up 1")
        assert looks.value("rlb_group_lag") is None
        with sidecar.connect() as client:
            body = b'{"sessionId": "s-2", "modelId": "m", "token": "x"}'
            head = "POST /v1/tokens HTTP/1.1\r\nHost: rlb\r\nContent-Type: application/json\r\n"
            client.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert client.response().status == 201
        write(server, ("ACL", "SETUSER", "watcher", "+xinfo|groups"))
        shows_lag(looks)


def test_user_who_may_only_ask_for_lag(short_tmp: Path, own_server: OwnServer) -> None:
    """Without INFO, MEMORY, XPENDING and XINFO CONSUMERS the lag is shown all the same."""
    denied = "-info -memory -xpending -xinfo|consumers"
    server = own_server(VALKEY_9, config=(f"user watcher on >pw ~* &* +@all {denied}",))
    write(server, *lagging())
    with watching(short_tmp / "s", server, username="watcher", password="pw") as sidecar:
        looks = Looks(sidecar)
        looks.until(lambda: looks.value("rlb_group_lag", group="g") == LAG, "the lag")
        assert looks.value("rlb_stream_memory_bytes") is None
        assert looks.value("rlb_poll_errors_total", error_type="internal") in (None, 0)


def test_key_that_becomes_something_else(short_tmp: Path, own_server: OwnServer) -> None:
    """Another type under a watched key takes that stream out of the count, and no other."""
    server = own_server()
    other = "llm:stream:s-2:m"
    write(server, *lagging(), *lagging(other))
    with watching(short_tmp / "s", server) as sidecar:
        looks = Looks(sidecar)
        shows_lag(looks, 2 * LAG)
        write(server, ("DEL", KEY), ("SET", KEY, "text"), ("ZADD", "llm:streams", int(time.time() * 1000), KEY))
        shows_lag(looks, LAG)
        looks.until(lambda: looks.value("rlb_stream_count") == 1, "one stream")
        write(server, ("DEL", KEY), *lagging())
        shows_lag(looks, 2 * LAG)
        assert looks.value("rlb_poll_errors_total", error_type="internal") in (None, 0)


def test_keys_that_come_and_go(short_tmp: Path, own_server: OwnServer) -> None:
    """Streams and groups that vanish in the middle of a poll are gone, not errors."""
    server = own_server()
    keys = [f"llm:stream:s-{number}:m" for number in range(150)]
    with watching(short_tmp / "s", server) as sidecar:
        looks = Looks(sidecar)
        over = threading.Event()

        def churn() -> None:
            with Wire(server) as wire:
                while not over.is_set():
                    wire.ask([command for key in keys for command in lagging(key)])
                    wire.ask([("XGROUP", "DESTROY", key, "g") for key in keys])
                    wire.ask([("DEL", key) for key in keys])

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            polls = looks.value("rlb_poll_duration_seconds_count") or 0
            looks.until(lambda: (looks.value("rlb_poll_duration_seconds_count") or 0) > polls + 10, "ten polls")
        finally:
            over.set()
            thread.join(20)
        write(server, ("FLUSHALL",), *lagging())
        looks.until(lambda: looks.value("rlb_stream_count") == 1, "one stream")
        shows_lag(looks)
        assert not looks.value("rlb_poll_errors_total")


def test_names_that_are_no_text(short_tmp: Path, own_server: OwnServer) -> None:
    """A key that no app of rlb could have made hides no other; a group and a consumer may have any name."""
    server = own_server()
    odd: list[Command] = [
        command
        for key in (b"llm:stream:\xff:m", b"llm:stream::", b"llm:stream:a b:m\n")
        for command in (("XADD", key, "*", b"\xff", b"\xff"), ("XGROUP", "CREATE", key, "odd", "0"))
    ]
    group: list[Command] = [
        ("XGROUP", "CREATE", KEY, b"\xff", "0"),
        ("XREADGROUP", "GROUP", b"\xff", b"\xfe", "COUNT", 1, "STREAMS", KEY, ">"),
    ]
    write(server, *odd, *lagging(), *group)
    with watching(short_tmp / "s", server) as sidecar:
        looks = Looks(sidecar)
        shows_lag(looks)
        looks.until(lambda: looks.value("rlb_group_lag", group=r"\xff") == LAG + 1, "the lag of the other group")
        assert looks.get("/v1/snapshot")[0] == 200
        assert looks.value("rlb_poll_errors_total", error_type="internal") in (None, 0)


def test_groups_without_end(short_tmp: Path, own_server: OwnServer) -> None:
    """A stream with more groups than are watched of one takes nothing from the others, and it is said."""
    server = own_server()
    crowded = "llm:stream:s-0:crowd"
    write(server, ("XADD", crowded, "*", "data", "x"), *lagging())
    write(server, *(("XGROUP", "CREATE", crowded, f"crowd-{number:04}", "0") for number in range(MAX_GROUPS + 500)))
    with watching(short_tmp / "s", server) as sidecar:
        looks = Looks(sidecar)
        looks.until(lambda: looks.value("rlb_poll_errors_total", error_type="too_many_groups"), "word of it")
        # Most of them are told as `other`, and so is whatever comes after them; nothing is missing from the sum.
        looks.until(lambda: looks.value("rlb_group_lag") == MAX_GROUPS + LAG, "the lag of all that are watched")
        # That many groups are polled all the while: were the loop held by it, most looks would have to wait.
        held_s: list[float] = []
        until_s = time.monotonic() + 1
        while time.monotonic() < until_s or len(held_s) < 21:
            begun_s = time.monotonic()
            looks.get("/livez")
            held_s.append(time.monotonic() - begun_s)
        assert sorted(held_s)[len(held_s) // 2] < 1


@pytest.mark.timeout(120)
def test_redis_that_is_loading(short_tmp: Path, own_server: OwnServer) -> None:
    """While Redis reads its data back it is not taken for empty; when it has, all is there again."""
    keys = 400
    server = own_server(config=("key-load-delay 6000", "loading-process-events-interval-bytes 1024"))
    write(server, *(("SET", f"filler:{number}", "x" * 100) for number in range(keys)), *lagging(), ("SAVE",))
    with watching(short_tmp / "s", server) as sidecar:
        looks = Looks(sidecar)
        shows_lag(looks)
        server.kill()
        looks.until(lambda: looks.value("rlb_group_lag", group="g") is None, "the end of what was polled")
        loading = threading.Thread(target=server.start)
        loading.start()
        try:
            told = {looks.value("rlb_group_lag", group="g")}
            while loading.is_alive():
                told.add(looks.value("rlb_group_lag", group="g"))
        finally:
            loading.join()
        assert told <= {None, float(LAG)}
        shows_lag(looks)
        assert looks.value("rlb_poll_errors_total", error_type="internal") in (None, 0)
