"""What is on the shelf, read with its proof: nothing is handed out that was not verified this very moment."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from shieldwall.agent.applier import authority
from shieldwall.agent.applier.authority import Believed
from shieldwall.agent.applier.change import Wanted
from shieldwall.agent.applier.pin import Pin
from shieldwall.agent.applier.ports import Say
from shieldwall.agent.applier.refusals import NotPinnedError
from shieldwall.agent.applier.shelf import Shelf
from shieldwall.agent.applier.state import Terms
from shieldwall.contract.ids import Digest
from shieldwall.contract.messages import Envelope, Manifest
from shieldwall.contract.settings import PolicyDocument
from shieldwall.trust import refusals


class Stored(Struct, frozen=True, kw_only=True):
    """A manifest that is believed, with all of its policies."""

    believed: Believed
    documents: tuple[PolicyDocument, ...]

    @property
    def manifest(self) -> Manifest:
        """What is to hold."""
        return self.believed.manifest

    def wanted(self, pin: Pin) -> Wanted:
        """Return it as an engine takes it."""
        terms = Terms(conflict_rules=self.manifest.conflict_rules, server_urls=pin.authority.server_urls)
        return Wanted(documents=self.documents, terms=terms)


class Evidence(Struct, frozen=True, kw_only=True):
    """Reads and fills the shelf."""

    shelf: Shelf
    say: Say

    def keep(self, pin: Pin, manifest: Manifest, policies: Iterable[Envelope]) -> None:
        """Put those policies on the shelf that the manifest names; what else comes along is refused.

        Raises:
            RefusedPolicyError: One of them is not what the manifest names; nothing holds that did not before.
            HostError: The disk.
        """
        items = {item.digest: item for item in manifest.items}
        for envelope in policies:
            item = items.get(authority.payload_digest(envelope))
            if item is None:
                raise refusals.PolicyDigestError("A policy came along that the manifest does not name.")
            authority.policy(pin, envelope, item)
            self.shelf.put_policy(item.digest, envelope)

    def documents(self, pin: Pin, manifest: Manifest) -> tuple[tuple[PolicyDocument, ...], tuple[Digest, ...]]:
        """Read the policies of a manifest, and name those that are not there. Raises: HostError."""
        documents: list[PolicyDocument] = []
        missing: list[Digest] = []
        for item in manifest.items:
            envelope = self.shelf.policy(item.digest)
            try:
                if envelope is None:
                    raise refusals.PolicyMalformedError("The policy is not there.")
                documents.append(authority.policy(pin, envelope, item))
            except refusals.RefusedDocumentError:
                missing.append(item.digest)
        return tuple(documents), tuple(missing)

    def in_force(self, pin: Pin) -> Believed | None:
        """Read the manifest in force; an older one than was ever believed is not. Raises: HostError.

        Expiry does not matter here: an expired manifest never removes protection.
        """
        envelope = self.shelf.manifest()
        if envelope is None or not pin.devices:
            return None
        try:
            return authority.believed(pin, envelope, authority.BEFORE_ALL_EXPIRY)
        except (refusals.RefusedDocumentError, NotPinnedError) as error:
            self.say("shelfNotBelieved", code=error.code, cause=error.cause)
            return None

    def stored(self, pin: Pin) -> Stored | None:
        """Read what is in force, with all of its policies; nothing where one is not there. Raises: as ``in_force``."""
        accepted = self.in_force(pin)
        if accepted is None:
            return None
        documents, missing = self.documents(pin, accepted.manifest)
        return None if missing else Stored(believed=accepted, documents=documents)
