"""What a process of rlb has, be it a sidecar or an observer: a port for probes, a calm collector, an end by signal."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Iterator

from rlb.api.health import Condition
from rlb.errors import StartError
from rlb.monitor.duty import Duty
from rlb.redis_io.topology import Standalone
from rlb.settings import Settings

_log = logging.getLogger("rlb")


def redis_condition(topology: Standalone) -> Condition:
    link = topology.main
    return Condition("up") if link.is_up else Condition("down", link.reason)


def duty_condition(duty: Duty) -> Condition:
    now = duty.state
    return Condition(now.state, now.reason)


@contextlib.contextmanager
def probe_listener(settings: Settings) -> Iterator[socket.socket | None]:
    """The TCP socket for health, or None if it is off."""
    metrics = settings.metrics
    if metrics.port == 0:
        yield None
        return
    # "::" takes IPv4 too, so that one setting does for clusters of either kind.
    is_ipv6 = ":" in metrics.host
    is_either = metrics.host == "::" and socket.has_dualstack_ipv6()
    try:
        listener = socket.create_server(
            (metrics.host, metrics.port),
            family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
            dualstack_ipv6=is_either,
            reuse_port=False,
        )
    except OSError as error:
        raise StartError(
            f"cannot listen on {metrics.host}:{metrics.port} ({error.strerror}); "
            "set RLB_METRICS__PORT to another port, or to 0 for none"
        ) from None
    with listener:
        yield listener


def calm_collector() -> None:
    """Have the garbage collector look less often.

    Messages on their way are many and live for milliseconds; looking through all that was imported holds them up.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def run_until_signal(service: contextlib.AbstractAsyncContextManager[object]) -> None:
    """Keep a service entered until SIGTERM or SIGINT; a second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        _log.info("service.signal", extra={"signal": number.name})
        if stop.is_set():
            loop.remove_signal_handler(number)
            signal.raise_signal(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    async with service:
        calm_collector()
        await stop.wait()
