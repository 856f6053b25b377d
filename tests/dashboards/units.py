"""The ids of Grafana's units, as far as they make sense for what is measured here."""

from __future__ import annotations

import re

_LISTED = """
none string short percent percentunit bool bool_yes_no bool_on_off dateTimeFromNow dateTimeAsIso
ns µs ms s m h d dtdurations dtdhms clocks
bytes decbytes bits kbytes mbytes Bps binBps bps
cps ops reqps rps wps iops opm mps eps
"""
UNITS = frozenset(_LISTED.split())

_MADE = re.compile(r"(suffix|prefix|time|si|count|currency|bool):.+")
"""Units that are made up of a kind and a text."""


def is_unit(unit: object) -> bool:
    """Whether Grafana knows the unit; what it does not know it shows as a text behind the number."""
    return isinstance(unit, str) and (unit in UNITS or _MADE.fullmatch(unit) is not None)
