"""What the applier enforces, as it was signed: ``manifest.json`` and ``policies/``, in its own directory.

From here it enforces after a reboot, before there is a network or an agent. The manifest is replaced last, so a crash
at any moment leaves one manifest with all of its policies. Nothing read from here is believed without its signatures.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from msgspec import Struct

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.files import make_directory, read_bytes, remove, replace
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import Digest
from shieldwall.contract.messages import Envelope
from shieldwall.contract.strict_json import decode, encode

MANIFEST: Final = "manifest.json"
POLICIES: Final = "policies"
_PRIVATE_DIRECTORY: Final = 0o700
_PRIVATE_FILE: Final = 0o600


class Shelf(Struct, frozen=True, kw_only=True):
    """Signed documents on disk; every write is durable when it returns. Every method may raise ``HostError``."""

    directory: Path

    def manifest(self) -> Envelope | None:
        """Return the manifest in force; a damaged one counts as none, for it is sent again."""
        return self._find(self.directory / MANIFEST)

    def put_manifest(self, envelope: Envelope) -> None:
        """Put a manifest in force, whose policies are all here."""
        self._put(self.directory / MANIFEST, envelope)

    def policy(self, digest: Digest) -> Envelope | None:
        """Return a policy by the digest of its payload; a damaged one counts as none."""
        return self._find(self.directory / POLICIES / digest)

    def put_policy(self, digest: Digest, envelope: Envelope) -> None:
        """Keep a policy."""
        self._put(self.directory / POLICIES / digest, envelope)

    def keep_policies(self, digests: Collection[Digest]) -> None:
        """Remove every policy but these."""
        try:
            names = [path.name for path in (self.directory / POLICIES).iterdir()]
        except FileNotFoundError:
            return
        except OSError as error:
            raise HostError(f"{self.directory / POLICIES} cannot be listed: {error.strerror}.") from error
        for name in names:
            if name not in digests:
                remove(self.directory / POLICIES / name)

    def clear(self) -> None:
        """Forget everything: the manifest first, so that nothing half remembered is enforced."""
        remove(self.directory / MANIFEST)
        self.keep_policies(())

    def _find(self, path: Path) -> Envelope | None:
        content = read_bytes(path)
        if content is None:
            return None
        try:
            return decode(content, Envelope)
        except InvalidJsonError:
            return None

    def _put(self, path: Path, envelope: Envelope) -> None:
        try:
            make_directory(path.parent, mode=_PRIVATE_DIRECTORY)
        except OSError as error:
            raise HostError(f"{path.parent} cannot be made: {error.strerror}.") from error
        replace(path, encode(envelope), mode=_PRIVATE_FILE)
