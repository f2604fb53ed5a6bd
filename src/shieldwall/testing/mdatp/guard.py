"""Tamper protection of Defender on macOS, as its neighbours meet it: their changes to its files do not come through.

A real one sits in the kernel's way (Endpoint Security) and guards against every process but the MDM's. A stand-in has
no such place, so it stands between the agent and its machine instead.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from shieldwall.agent.host.around import AroundHost
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.testing.mdatp.kit import PretendMdatp


class GuardedHost(AroundHost):
    """A host whose Defender guards its files while its tamper protection blocks.

    ``how`` it does: it *refuses* a write, or *swallows* it, so that the writer believes it was done. Which of the two
    the real one does for which file is not published.
    """

    def __init__(self, *, host: Host, mdatp: PretendMdatp, how: Literal["refuses", "swallows"] = "refuses") -> None:
        super().__init__(host)
        self.mdatp = mdatp
        self.how = how

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        """See ``Host.write_file``. Raises: HostError: Tamper protection refuses."""
        product = self.mdatp.product
        guarded = {PurePosixPath("/", each) for each in (product.files.attached, *product.files.managed)}
        if path not in guarded or product.tamper_protection()[0] != "block":
            super().write_file(path, content, mode=mode)
        elif self.how == "refuses":
            raise HostError(f"{self.locate(path)}: Operation not permitted.")
