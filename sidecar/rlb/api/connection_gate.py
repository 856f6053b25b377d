"""Who may connect, how many at once, and for how long a connection may keep still.

One gate serves one listener. Time is counted in ticks of the gate's own timer instead of being read per request: that
keeps clocks and timers off the hot path, and a loop that was stalled has not used up anybody's deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from rlb.errors import ApiError, DrainingError, OverloadedError, PeerNotAllowedError
from rlb.settings import SocketSettings

_log = logging.getLogger("rlb.http")

TICKS_PER_DEADLINE = 8
MAX_TICK_S = 0.5
MIN_TICK_S = 0.01
LOG_INTERVAL_S = 1.0
MAX_LINGERING = 64
_UCRED = struct.Struct("iII")
_SO_PEERGROUPS = 59
_MAX_OPTION_BYTES = 1024
"""As much as getsockopt of Python takes: 256 groups."""


class Refusal(StrEnum):
    """Why a connection was turned away or cut."""

    PEER = "peer_not_allowed"
    CONNECTIONS = "connections"
    CONNECTIONS_PER_UID = "connections_per_uid"
    DRAINING = "draining"
    HEADER_TIMEOUT = "header_timeout"
    BODY_TIMEOUT = "body_timeout"
    HEADER_TOO_LARGE = "header_too_large"
    PIPELINE = "pipeline"
    INVALID_REQUEST = "invalid_request"
    IDLE = "idle"
    STALLED = "stalled"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one listener allows. The defaults of the Unix socket are in the settings; a TCP port has none of its own."""

    max_connections: int
    max_connections_per_uid: int
    header_timeout_s: float
    body_timeout_s: float
    keep_alive_s: float
    max_header_bytes: int
    allow_uids: frozenset[int] = frozenset()
    allow_gids: frozenset[int] = frozenset()
    linger_s: float = 1.0
    """How long a refused client may take to read the answer: closing under its request would lose it the answer."""

    @classmethod
    def from_settings(cls, settings: SocketSettings) -> Self:
        return cls(
            max_connections=settings.max_connections,
            max_connections_per_uid=settings.max_connections_per_uid,
            header_timeout_s=settings.header_timeout_s,
            body_timeout_s=settings.body_timeout_s,
            keep_alive_s=settings.keep_alive_s,
            max_header_bytes=settings.max_header_bytes,
            allow_uids=frozenset(settings.allow_uids),
            allow_gids=frozenset(settings.allow_gids),
        )


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end, as the kernel knew it at connect(). Its pid is for logs: pids are reused."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int] = frozenset()


class Watched(Protocol):
    """What the gate watches."""

    def on_tick(self) -> None:
        """Cut yourself if a deadline has passed; called once per tick."""


class ConnectionGate:
    """Admission, deadlines and counts of the connections of one listener."""

    def __init__(self, limits: ConnectionLimits, on_not_allowed: Callable[[ApiError], None] = lambda _: None) -> None:
        self.limits = limits
        self._on_not_allowed = on_not_allowed
        self.connections: set[Watched] = set()
        self.accepted = 0
        self.refused: dict[Refusal, int] = dict.fromkeys(Refusal, 0)
        self.is_draining = False
        shortest_s = min(limits.header_timeout_s, limits.body_timeout_s, limits.keep_alive_s)
        self._tick_s = min(max(shortest_s / TICKS_PER_DEADLINE, MIN_TICK_S), MAX_TICK_S)
        self._per_uid: dict[int, int] = {}
        self._lingering: set[socket.socket] = set()
        self._own_uid = os.geteuid()
        self._timer: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._logged_at_s = dict.fromkeys(Refusal, -math.inf)

    @property
    def open_connections(self) -> int:
        return len(self.connections)

    def ticks(self, seconds: float) -> int:
        """A count of ticks that surely takes so long, and at most one tick longer."""
        return math.ceil(seconds / self._tick_s) + 1

    def admit(self, connection: Watched, peer: Peer | None) -> ApiError | None:
        """Count the connection in, or say why not. `peer` is None on TCP, where the kernel knows no user."""
        limits = self.limits
        if peer is not None and not self._is_allowed(peer):
            self.count(Refusal.PEER, peer)
            error = PeerNotAllowedError("This user is not on the allow-list of the socket (RLB_SOCKET__ALLOW_UIDS).")
            self._on_not_allowed(error)
            return error
        if self.is_draining:
            self.count(Refusal.DRAINING, peer)
            return DrainingError("The sidecar is shutting down.")
        if len(self.connections) >= limits.max_connections:
            self.count(Refusal.CONNECTIONS, peer)
            return OverloadedError(f"{limits.max_connections} connections are open, which is the limit.")
        if peer is not None:
            mine = self._per_uid.get(peer.uid, 0)
            if mine >= limits.max_connections_per_uid:
                self.count(Refusal.CONNECTIONS_PER_UID, peer)
                return OverloadedError(f"This user has {mine} connections open, which is the limit for one user.")
            self._per_uid[peer.uid] = mine + 1
        self.accepted += 1
        self.connections.add(connection)
        self._emptied.clear()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._tick)
        return None

    def release(self, connection: Watched, peer: Peer | None) -> None:
        """Count a connection out that was admitted; any other is ignored."""
        if connection not in self.connections:
            return
        self.connections.discard(connection)
        if peer is not None:
            left = self._per_uid[peer.uid] - 1
            if left:
                self._per_uid[peer.uid] = left
            else:
                del self._per_uid[peer.uid]
        if not self.connections:
            self._emptied.set()

    def count(self, refusal: Refusal, peer: Peer | None) -> None:
        """Count a refusal; log it too, but at most once a second of each kind, or a flood would fill the disk."""
        self.refused[refusal] += 1
        now_s = asyncio.get_running_loop().time()
        if now_s - self._logged_at_s[refusal] >= LOG_INTERVAL_S and refusal is not Refusal.IDLE:
            self._logged_at_s[refusal] = now_s
            uid = None if peer is None else peer.uid
            _log.warning(
                "http.refused", extra={"reason": refusal.value, "peer_uid": uid, "total": self.refused[refusal]}
            )

    def answer_and_linger(self, connected: socket.socket, answer: bytes) -> None:
        """Send the last words to a client whose transport is being closed unread, and let it read them in peace.

        They go out on a second descriptor that outlives the transport, for two reasons: on uvloop a new transport can
        only be kept from reading by closing it, and a connection that ends under a request on its way is an error to
        most clients, whatever was said before.
        """
        if len(self._lingering) >= MAX_LINGERING:
            return
        with contextlib.suppress(OSError):
            second = connected.dup()
            self._lingering.add(second)
            asyncio.get_running_loop().call_later(self.limits.linger_s, self._stop_lingering, second)
            second.send(answer, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def close(self) -> None:
        """Let nobody linger, and stop the clock."""
        for second in tuple(self._lingering):
            self._stop_lingering(second)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def wait_empty(self) -> None:
        """Return when no admitted connection is left."""
        await self._emptied.wait()

    def _is_allowed(self, peer: Peer) -> bool:
        limits = self.limits
        if not limits.allow_uids and not limits.allow_gids:
            return True  # the file's permissions have decided
        return (
            peer.uid == self._own_uid
            or peer.uid in limits.allow_uids
            or peer.gid in limits.allow_gids
            or not limits.allow_gids.isdisjoint(peer.groups)
        )

    def _stop_lingering(self, second: socket.socket) -> None:
        self._lingering.discard(second)
        second.close()

    def _tick(self) -> None:
        for connection in tuple(self.connections):
            connection.on_tick()
        self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._tick) if self.connections else None


def peer_of(connected: socket.socket) -> Peer | None:
    """The peer of a Unix socket, or None for one of another family.

    SO_PEERCRED leaves out supplementary groups, which is what containers of one pod share; SO_PEERGROUPS has them.
    """
    if connected.family != socket.AF_UNIX:
        return None
    pid, uid, gid = _UCRED.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    try:
        raw = connected.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MAX_OPTION_BYTES)
    except OSError:  # an older kernel, or more groups than fit
        raw = b""
    return Peer(pid, uid, gid, frozenset(struct.unpack(f"{len(raw) // 4}I", raw)))
