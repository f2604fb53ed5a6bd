"""Whether nft may be used, asked once for all settings of one look."""

from __future__ import annotations

import time
from typing import Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.nftables.nft import NftablesError, check_rights

_SECONDS: Final = 2.0
"""The engine asks about sixty settings in a row; a program started for each would be most of its work."""


class Rights:
    """Remembers for a moment whether a host lets this process use nft."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: tuple[Host, float, str | None] | None = None

    def fault(self, host: Host) -> str | None:
        """Say why nft cannot be used, ``None`` when it can.

        Raises:
            HostError: The program did not run to its end, which is no answer and not remembered.
        """
        now = time.monotonic()
        if self._known is not None and self._known[0] is host and now - self._known[1] < _SECONDS:
            return self._known[2]
        try:
            check_rights(host)
            fault = None
        except NftablesError as error:
            fault = error.cause
        self._known = (host, now, fault)
        return fault
