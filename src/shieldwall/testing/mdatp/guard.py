"""Tamper protection of Defender on macOS, as its neighbours meet it: their changes to its files do not come through.

A real one sits in the kernel's way (Endpoint Security) and guards against every process but the MDM's. A stand-in has
no such place, so it stands between the agent and its machine instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Completed, Host
from shieldwall.testing.mdatp.kit import PretendMdatp


@dataclass(kw_only=True)
class GuardedHost:
    """A host whose Defender guards its files while its tamper protection blocks.

    ``how`` it does: it *refuses* a write, or *swallows* it, so that the writer believes it was done. Which of the two
    the real one does for which file is not published.
    """

    host: Host
    mdatp: PretendMdatp
    how: Literal["refuses", "swallows"] = "refuses"

    @property
    def root(self) -> Path:
        """See ``Host.root``."""
        return self.host.root

    def locate(self, path: PurePosixPath) -> Path:
        """See ``Host.locate``."""
        return self.host.locate(path)

    def read_file(self, path: PurePosixPath) -> bytes | None:
        """See ``Host.read_file``."""
        return self.host.read_file(path)

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        """See ``Host.write_file``. Raises: HostError: Tamper protection refuses."""
        product = self.mdatp.product
        guarded = {PurePosixPath("/", each) for each in (product.files.attached, *product.files.managed)}
        if path not in guarded or product.tamper_protection()[0] != "block":
            self.host.write_file(path, content, mode=mode)
        elif self.how == "refuses":
            raise HostError(f"{self.locate(path)}: Operation not permitted.")

    def find_program(self, name: str) -> str | None:
        """See ``Host.find_program``."""
        return self.host.find_program(name)

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        """See ``Host.run``."""
        return self.host.run(command, stdin=stdin, timeout_seconds=timeout_seconds)
