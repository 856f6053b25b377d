"""The name under which a subscription reads unless it is given one."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Container


def consumer_name(taken: Container[str] = ()) -> str:
    """`<host name>-<process id>`, with `-2`, `-3`, … behind it while that is `taken`.

    In a container the process id is the same after every start, so a pod with a stable name (a StatefulSet's) comes
    back as the consumer that it was, and finds its unacknowledged messages at once. Where names change, those of the
    old consumer are claimed once they have been idle for `RLB_GROUPS__CLAIM_IDLE_MS`.
    """
    host = re.sub(r"[^A-Za-z0-9_.-]", "-", socket.gethostname())[:96] or "host"
    name = f"{host}-{os.getpid()}"
    number = 1
    numbered = name
    while numbered in taken:
        number += 1
        numbered = f"{name}-{number}"
    return numbered
