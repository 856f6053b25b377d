"""Duty: who polls, and what else is done with it.

With the scope `all` there are many that could poll, and only the one with the lease does. Consumers are cleaned up by
who polls; round trips are made by every process, as each has its own way to Redis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from rlb.domain.census import Census, Totals
from rlb.domain.keys import Keys
from rlb.monitor.cleanup import Cleanup
from rlb.monitor.lease import NOT_ASKED, Lease
from rlb.monitor.monitor import NOT_POLLED, Monitor
from rlb.monitor.probe import Probe
from rlb.redis_io.topology import Topology
from rlb.settings import MonitorSettings


@dataclass(frozen=True, slots=True)
class DutyState:
    """How the watching goes, as a component's health."""

    state: Literal["up", "down", "starting"]
    reason: str | None = None


class DutyObserver(Protocol):
    """Is told of what is done besides polling."""

    def removed(self, group: str) -> None:
        """A consumer of the group was removed."""

    def probed(self, seconds: float | None) -> None:
        """A round trip through Redis took so long; None if it failed."""


class Duty:
    """Does with a monitor what the settings ask for; `owner` is the name under which it competes for the lease."""

    def __init__(
        self,
        topology: Topology,
        keys: Keys,
        settings: MonitorSettings,
        monitor: Monitor,
        owner: str,
        observer: DutyObserver,
    ) -> None:
        self._settings = settings
        self._monitor = monitor
        self._extras: list[Cleanup | Probe] = []
        if settings.remove_consumers_after_seconds and settings.scope != "off":
            after_s = settings.remove_consumers_after_seconds
            self._extras.append(Cleanup(topology, monitor, after_s, observer.removed))
        if settings.probe_seconds:
            self._extras.append(Probe(topology, keys, settings.probe_seconds, observer.probed))
        self._lease: Lease | None = None
        if settings.scope == "all":
            self._lease = Lease(topology, keys, owner, settings.lease_seconds, monitor.resume, monitor.pause)
            self._lease.on_unanswered(monitor.unanswered)

    def start(self) -> None:
        """Begin to connect, and to poll as soon as it is due to us."""
        self._monitor.connect()
        if self._lease is not None:
            self._lease.start()
        elif self._settings.scope == "own":
            self._monitor.resume()
        for extra in self._extras:
            extra.start()

    async def close(self) -> None:
        """Stop, give up the lease, and close the connections."""
        for extra in self._extras:
            await extra.close()
        if self._lease is not None:
            await self._lease.close()
        await self._monitor.close()

    @property
    def leads(self) -> bool | None:
        """Whether it is us who poll; None where there is no choice."""
        return self._lease.is_leader if self._lease is not None else None

    @property
    def observed(self) -> bool | None:
        """Whether an observer polls beside us what we poll; None where that is not known, or not asked."""
        leading = self._monitor.observed
        return leading.lease is not None if leading is not None else None

    @property
    def lease(self) -> str | None:
        """The name of the lease: the one that we hold or would, or that of the observer beside us; None without one."""
        if self._lease is not None:
            return self._lease.name
        leading = self._monitor.observed
        return leading.lease if leading is not None else None

    @property
    def census(self) -> Census:
        """The last count of all streams; empty while another counts them."""
        return Census() if self.leads is False else self._monitor.census

    @property
    def totals(self) -> Totals:
        """What was counted since the start; empty while another counts."""
        return Totals() if self.leads is False else self._monitor.totals

    @property
    def state(self) -> DutyState:
        """How the polls go; one that stands by is well."""
        monitor, lease = self._monitor, self._lease
        if lease is not None and not lease.is_leader:
            if lease.reason is not None:
                return DutyState("starting" if lease.reason == NOT_ASKED else "down", lease.reason)
            return DutyState("up", "stands by: another observer polls")
        if monitor.trouble == NOT_POLLED:
            return DutyState("starting", NOT_POLLED)
        if monitor.trouble is not None:
            return DutyState("down", monitor.trouble)
        return DutyState("up", f"{monitor.waiting} streams wait for the next poll" if monitor.waiting else None)
