"""The preferences as a document: written, read back, and explained where tamper protection kept them.

Tamper protection of Defender on macOS guards its files against every process but those of an MDM. In the mode *block* a
change is refused, or taken and gone; in *audit* it is noted alone. Which files are guarded is published only in part,
so nothing is assumed: what stands there afterwards decides.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from msgspec import Struct

from shieldwall.agent.host.documents import DocumentHost
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.macos.preferences import ATTACHED
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Observation
from shieldwall.agent.providers.mdatp import asking, health
from shieldwall.agent.providers.tampering import BlockedByTamperProtectionError

_BLOCK: Final = "block"


class GuardedPreferences(Struct, frozen=True):
    """A ``DocumentStore`` of the one file ``path`` on ``host``."""

    host: Host
    path: PurePosixPath = ATTACHED

    def read(self, path: PurePosixPath) -> bytes | None:
        """See ``DocumentStore.read``."""
        del path
        return self.host.read_file(self.path)

    def write(self, path: PurePosixPath, content: bytes | None) -> None:
        """See ``DocumentStore.write``.

        Raises:
            BlockedByTamperProtectionError: The file is as it was, and tamper protection blocks.
            HostError: It cannot be written for another reason.
        """
        del path
        try:
            self.host.write_file(self.path, content)
        except HostError as error:
            if self.host.read_file(self.path) == content:
                return  # what nobody may change is as it should be
            raise self._explained(error) from error
        if self.host.read_file(self.path) != content and self._blocks():
            raise BlockedByTamperProtectionError(
                f"{self.path.name} was written and holds something else: tamper protection of Defender blocks."
            )

    def _explained(self, error: HostError) -> HostError | BlockedByTamperProtectionError:
        if not self._blocks():
            return error
        return BlockedByTamperProtectionError(
            f"{self.path.name} cannot be written while tamper protection of Defender blocks: {error.cause}"[:1000]
        )

    def _blocks(self) -> bool:
        answer = asking.ask_health(self.host)
        return not isinstance(answer, Observation) and answer.get(health.TAMPER_PROTECTION) == _BLOCK


def guarded(host: Host, path: PurePosixPath = ATTACHED) -> DocumentHost:
    """Return the host on which the provider works: the same, with the preferences as a document."""
    return DocumentHost(host, {path: GuardedPreferences(host, path)})
