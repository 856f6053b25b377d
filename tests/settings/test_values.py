"""Values: what each of their types takes and refuses, and what is shown of a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rlb.errors import SettingsError
from rlb.settings import RedisSettings, Settings, SocketSettings, client_socket_path, default_socket_path, redact_url
from rlb.settings.values import check_redis_url, check_socket_path

SECRET = "SESAME"
passwords = st.tuples(st.text(max_size=8), st.text(max_size=8)).map(SECRET.join)


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        ("0660", 0o660),
        ("660", 0o660),
        ("0o600", 0o600),
        ("o600", None),
        ("0777", 0o777),
        ("1777", None),
        ("0680", None),
        ("rw-rw----", None),
        ("", None),
        (0o640, 0o640),
        (660, None),
        (-1, None),
        (6.5, None),
        (None, None),
    ],
)
def test_mode(written: object, mode: int | None) -> None:
    """A mode is octal text, or a number that its file format has read; anything else is refused."""
    if mode is None:
        with pytest.raises(ValueError, match="octal file mode"):
            SocketSettings.model_validate({"mode": written})
    else:
        assert SocketSettings.model_validate({"mode": written}).mode == mode


@pytest.mark.parametrize(
    ("written", "ids"),
    [
        ("", ()),
        ("1000", (1000,)),
        ("0, 1000,33", (0, 1000, 33)),
        ("[0, 1000]", (0, 1000)),
        ("[]", ()),
        (1000, (1000,)),
        ([0, 1], (0, 1)),
        ("1000,", None),
        ("[1000", None),
        ("nobody", None),
        ("-1", None),
        ("4294967295", None),
        ([1, "root"], None),
        ({"0": 1}, None),
    ],
)
def test_ids(written: object, ids: tuple[int, ...] | None) -> None:
    """Ids come as a list, as JSON or with commas between; each must be one that the kernel gives out."""
    if ids is None:
        with pytest.raises(ValueError, match="allow_uids"):
            SocketSettings.model_validate({"allow_uids": written})
    else:
        assert SocketSettings.model_validate({"allow_uids": written}).allow_uids == ids


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6379/",
        "redis://:p%40ss@10.0.0.1:6380/15",
        "rediss://app:secret@redis.example.org/0",
        "redis://app@[::1]:6379/0",
        "unix:///run/redis/redis.sock",
        "unix://app:secret@/run/redis.sock?db=2",
    ],
)
def test_good_url(url: str) -> None:
    """The three kinds of address are taken as written, white space around them aside."""
    assert RedisSettings(url=f" {url}\n").url == url


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "redis:localhost",
        "redis://",
        "redis://:6379",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:port",
        "redis://h/zero",
        "redis://h/0/1",
        "redis://h?db=1",
        "redis://a,b",
        "redis://h#0",
        "redis://u:p#w@h",
        "redis://u:p/w@h",
        "redis://h h",
        "redis://h\th",
        "REDIS://h",
        "redis://[::1",
        "http://h",
        "unix://",
        "unix://h/path",
        "unix:///path?password=p",
        "unix:///path?db=x",
    ],
)
def test_bad_url(url: str) -> None:
    """What the connection would misread, or quietly leave out, is refused."""
    with pytest.raises(ValueError, match=r"redis://\[user:password@\]host"):
        check_redis_url(url)


@pytest.mark.parametrize("scheme", ["redis+sentinel", "redis+cluster"])
def test_topologies_to_come(scheme: str) -> None:
    """Sentinel and cluster addresses are named as such, not called malformed."""
    with pytest.raises(ValueError, match=rf"{scheme.replace('+', '.')}:// is not supported by this version"):
        check_redis_url(f"{scheme}://h1:26379,h2:26379/main")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h:6379/0", "redis://h:6379/0"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
        ("redis+sentinel://h1:1,h2:2/main", "redis+sentinel://h1:1,h2:2/main"),
        ("redis://app:pw@h:6379/0", "redis://app:********@h:6379/0"),
        ("redis://:pw@[::1]:6379", "redis://:********@[::1]:6379"),
        ("redis://pw@h", "redis://********@h"),
        ("redis://app:p@/:w@h", "redis://app:********@h"),
        ("redis://:pw", "redis://********"),
        ("unix:///redis.sock?password=pw", "unix://********"),
        ("pw", "********"),
        ("", "********"),
    ],
)
def test_redaction(url: str, shown: str) -> None:
    """Of a URL, all but its password is shown; of anything else, as little as could be one."""
    assert redact_url(url) == shown


@given(password=passwords)
@example(password=f"@{SECRET}/")
@example(password=f"1/0?{SECRET}")
@pytest.mark.parametrize("template", ["redis://:{}@h", "redis://app:{}@h:6379/0", "unix://:{}@/redis.sock?db=1"])
def test_url_never_shows_its_password(template: str, password: str) -> None:
    """No password, however badly encoded, gets through the redaction or out of a tree that takes the URL."""
    url = template.format(password)
    try:
        settings = Settings(redis=RedisSettings(url=url))
        shown = [repr(settings), settings.model_dump_json(), redact_url(url)]
    except ValueError as error:
        shown = [str(error), redact_url(url)]
    assert not [text for text in shown if SECRET in text]


@pytest.mark.parametrize(
    ("writable", "environ", "path"),
    [
        (True, {"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/rlb/rlb.sock"),
        (False, {"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/rlb/rlb.sock"),
        (False, {"XDG_RUNTIME_DIR": "relative"}, "/tmp/rlb-7/rlb.sock"),
        (False, {"XDG_RUNTIME_DIR": ""}, "/tmp/rlb-7/rlb.sock"),
        (False, {}, "/tmp/rlb-7/rlb.sock"),
    ],
)
def test_default_socket_path(
    writable: bool, environ: dict[str, str], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's folder if it is writable, else the user's, else one in /tmp that bears the uid."""
    monkeypatch.setattr(os, "access", lambda folder, _: writable and folder == "/run/rlb")
    monkeypatch.setattr(os, "getuid", lambda: 7)
    assert default_socket_path(environ) == Path(path)


def test_client_uses_a_socket_in_a_folder_that_it_may_not_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client finds the system's sidecar by its socket, although its own sidecar would listen elsewhere."""
    monkeypatch.setattr(os, "access", lambda path, _: path == Path("/run/rlb/rlb.sock"))
    assert client_socket_path({}) == Path("/run/rlb/rlb.sock")
    assert default_socket_path({}) != Path("/run/rlb/rlb.sock")
    assert client_socket_path({"RLB_SOCKET__PATH": "/x/y.sock"}) == Path("/x/y.sock")


def test_client_socket_path_is_checked() -> None:
    """A client learns of a path that is too long by name, not from a failing connection."""
    with pytest.raises(SettingsError, match=r"RLB_SOCKET__PATH='/xx.*at most 107 bytes.*, not 201"):
        client_socket_path({"RLB_SOCKET__PATH": "/" + 200 * "x"})


@pytest.mark.parametrize("letter", ["x", "ü"])
def test_socket_path_length_is_counted_in_bytes(letter: str) -> None:
    """107 bytes are the kernel's limit, however few letters they are."""
    path = "/" + letter * (106 // len(letter.encode()))
    assert len(os.fsencode(check_socket_path(Path(path)))) == 107
    with pytest.raises(ValueError, match="at most 107 bytes"):
        check_socket_path(Path(path + "x"))


@pytest.mark.parametrize("path", ["", "/", ".", "/a\0b"])
def test_socket_path_names_a_file(path: str) -> None:
    """A path that cannot be that of a socket is refused."""
    with pytest.raises(ValueError, match="socket"):
        SocketSettings.model_validate({"path": path})


@pytest.mark.parametrize("prefix", ["", "a:", "a b", "a{b}", "ä", "a\n", 65 * "a"])
def test_bad_prefix(prefix: str) -> None:
    """A prefix holds no character that a key pattern or a cluster's hash tag gives a meaning."""
    with pytest.raises(ValueError, match="1 to 64 of"):
        Settings.model_validate({"stream": {"prefix": prefix}})
