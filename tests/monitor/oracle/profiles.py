"""How streams are used: what a history is made of, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """A kind of use. `weights` are those of the steps by name, see `Workload`."""

    name: str
    says: str
    weights: Mapping[str, int]
    keys: int = 4
    groups: int = 3
    adds: int = 8
    """Most entries that one step adds."""
    reads: int = 10
    """Greatest COUNT of a read."""
    cap: int = 40
    """About how many entries a capped stream keeps."""
    tells_all_losses: bool = True
    """Whether who looks after every step tells all losses: no count is cut short, and nothing is set by hand."""
    invents: bool = False
    """Whether ENTRIESREAD, ENTRIESADDED and MAXDELETEDID may be of somebody's invention."""


CAPPED = Profile(
    "capped",
    "add, read, and `MAXLEN`, `MINID` trims, exact and approximate",
    {"add": 2, "add_capped": 6, "read": 8, "ack": 3, "trim": 2, "create": 1},
)
ACK_DELETE = Profile(
    "ack + delete",
    "entries are deleted once they are acknowledged",
    {"add": 8, "read": 8, "ack_delete": 6, "create": 1},
)
CAPPED_XDEL = Profile(
    "capped + XDEL",
    "a capped stream out of which entries are deleted anywhere",
    {"add": 2, "add_capped": 6, "read": 8, "ack": 2, "trim": 2, "xdel": 4, "create": 1},
)
LONG = Profile(
    "long",
    "a stream of thousands of entries, groups far behind, trims and deletions",
    {"add_many": 8, "read": 10, "trim": 2, "xdel": 3, "setid": 1, "create": 1},
    keys=1,
    adds=900,
    reads=800,
    cap=4000,
    tells_all_losses=False,
)
EVERYTHING = Profile(
    "everything",
    "all of this; positions, last ids and counters set by hand, some of them wrong; groups and keys destroyed, expired "
    "and made again",
    {
        "add": 10,
        "add_capped": 6,
        "read": 16,
        "ack": 4,
        "ack_delete": 3,
        "xdel": 6,
        "trim": 4,
        "setid": 3,
        "xsetid": 1,
        "create": 3,
        "destroy": 1,
        "recreate": 1,
        "delete": 1,
        "expire": 1,
        "claim": 2,
        "consumers": 1,
    },
    tells_all_losses=False,
    invents=True,
)
REBORN = Profile(
    "reborn",
    "keys and groups that end and come again under the same name, some with the same ids",
    {
        "add": 8,
        "add_capped": 1,
        "read": 6,
        "xdel": 1,
        "trim": 1,
        "create": 4,
        "destroy": 1,
        "recreate": 1,
        "delete": 2,
        "expire": 1,
    },
    keys=2,
    adds=12,
)

PROFILES = (CAPPED, ACK_DELETE, CAPPED_XDEL, EVERYTHING, REBORN, LONG)
