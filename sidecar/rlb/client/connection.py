"""What every call of a bridge goes through, from `async with` to the end of the block."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from rlb.client.caller import Inject
from rlb.client.settlements import Settlements
from rlb.client.transport import Transport
from rlb.settings import client_socket_path


class Connection:
    """The transport to one sidecar, and the acks on their way to it. Opened in the loop that uses it.

    `inject` tells the app's trace context.

    Raises:
        SettingsError: no path is given, and `RLB_SOCKET__PATH` is no path of a socket.
    """

    def __init__(
        self,
        socket_path: str | PathLike[str] | None,
        *,
        patience_s: float,
        timeout_s: float,
        inject: Inject | None = None,
    ) -> None:
        self.socket_path = client_socket_path() if socket_path is None else Path(socket_path)
        self._patience_s = patience_s
        self._timeout_s = timeout_s
        self._inject = inject
        self._opened: tuple[Transport, Settlements] | None = None

    def _open(self) -> None:
        if self._opened is not None:
            raise RuntimeError("the bridge is open already")
        transport = Transport(self.socket_path, patience_s=self._patience_s, timeout_s=self._timeout_s)
        self._opened = transport, Settlements(transport)

    async def _close(self) -> None:
        transport, settlements = self._parts
        try:
            await settlements.close()
        finally:
            self._opened = None
            await transport.close()

    @property
    def _transport(self) -> Transport:
        return self._parts[0]

    @property
    def _settlements(self) -> Settlements:
        return self._parts[1]

    @property
    def _parts(self) -> tuple[Transport, Settlements]:
        if self._opened is None:
            raise RuntimeError("the bridge is not open: use it inside of `async with Bridge() as bridge`")
        return self._opened
