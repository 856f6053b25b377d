"""Acks on their way: those of one stream go out together, one request at a time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rlb.client.delivery import Delivery, StreamName
from rlb.errors import RlbError

if TYPE_CHECKING:
    from rlb.client.calls import Calls
