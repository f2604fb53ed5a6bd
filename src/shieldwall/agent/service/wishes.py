"""What somebody on this machine asks the agent for, and waits for: files that are there as long as it is wished."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from shieldwall.agent.service.disk import Disk
from shieldwall.agent.service.state_files import ATTEST, ROTATE, WISH


class Wishes(Struct, frozen=True, kw_only=True):
    """Wishes in the state directory. Every method may raise ``HostError``."""

    directory: Path
    disk: Disk

    def find_check_in(self) -> str:
        """Read the name of the last request to check in now."""
        content = self.disk.read(self.directory / WISH) or b""
        return content.decode("ascii", errors="replace")

    def put_check_in(self, name: str) -> None:
        """Ask for a check-in, under a name by which its end can be recognised."""
        self.disk.write(self.directory / WISH, name.encode("ascii"))

    def has_rotation(self) -> bool:
        """Say whether somebody waits for a key change."""
        return self.disk.read(self.directory / ROTATE) is not None

    def put_rotation(self) -> None:
        """Ask for a key change at the next check-in."""
        self.disk.write(self.directory / ROTATE, b"")

    def has_attestation(self) -> bool:
        """Say whether the device key is to be attested."""
        return self.disk.read(self.directory / ATTEST) is not None

    def put_attestation(self) -> None:
        """Ask for the device key to be attested at the next check-in."""
        self.disk.write(self.directory / ATTEST, b"")

    def drop_attestation(self) -> None:
        """End the wait for an attestation."""
        self.disk.remove(self.directory / ATTEST)

    def drop_rotation(self) -> None:
        """End the wait for a key change."""
        self.disk.remove(self.directory / ROTATE)

    def forget(self) -> None:
        """Forget what anybody waits for."""
        for name in (WISH, ROTATE, ATTEST):
            self.disk.remove(self.directory / name)
