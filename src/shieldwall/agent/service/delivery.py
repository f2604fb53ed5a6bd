"""From a manifest to policies on disk: verify → fetch what is missing → verify each → store → switch.

The manifest is replaced last, so a crash or a refusal at any moment leaves the old manifest with all of its policies.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Struct

from shieldwall.agent.service.errors import UnusableAnswerError
from shieldwall.agent.service.gateway import Gateway
from shieldwall.agent.service.records import Identity
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.trusted_time import TrustedClock
from shieldwall.contract.messages import MAX_FETCH, Envelope, FetchAnswer, FetchRequest, Manifest, ManifestItem
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import RefusedPolicy
from shieldwall.trust.refusals import RefusedDocumentError
from shieldwall.trust.verification import open_manifest, open_policy

_CAUSE_LENGTH: Final = 1024
_BEFORE_ALL_EXPIRY: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Delivery(Struct, frozen=True, kw_only=True):
    """Takes in what the server says this device shall enforce."""

    identity: Identity
    state: AgentState
    gateway: Gateway
    clock: TrustedClock

    def verified(self, envelope: Envelope) -> Manifest:
        """Open a new manifest: by the tenant's key, for this device and key, newer than the last, not expired.

        Raises:
            RefusedManifestError: It is none of this; each reason has its own code.
        """
        last = self.state.standing().manifest_version
        if self.state.find_manifest() is None:
            last = max(last - 1, 0)  # ours was lost: the same one again is not a step back
        manifest = self._opened(envelope, last_version=last, now=self.clock.now())
        self.clock.saw(manifest.issued)
        return manifest

    def adopt(self, envelope: Envelope, manifest: Manifest) -> tuple[RefusedPolicy, ...]:
        """Store a verified manifest and its policies; returns those refused, and then nothing has changed."""
        refused = self._fetch_missing(manifest)
        if refused:
            return refused
        self.state.put_manifest(envelope)
        standing = self.state.standing()
        self.state.put_standing(
            msgspec.structs.replace(
                standing, manifest_version=manifest.manifest_version, protected=manifest.protection.tamper
            )
        )
        return ()

    def manifest(self) -> Manifest | None:
        """Read back the manifest alone, verified again; ``None`` when none is there that holds."""
        envelope = self.state.find_manifest()
        try:
            return None if envelope is None else self._opened(envelope, last_version=-1, now=_BEFORE_ALL_EXPIRY)
        except RefusedDocumentError:
            return None

    def stored(self) -> tuple[Manifest, tuple[PolicyDocument, ...]] | None:
        """Read back what to enforce, verified again (nor is the disk trusted); ``None`` when nothing whole is there.

        Expiry does not matter here: an expired manifest never removes protection.
        """
        manifest = self.manifest()
        if manifest is None:
            return None
        try:
            documents = tuple(
                document for item in manifest.items if (document := self._stored_policy(item)) is not None
            )
        except RefusedDocumentError:
            return None
        return (manifest, documents) if len(documents) == len(manifest.items) else None

    def _opened(self, envelope: Envelope, *, last_version: int, now: datetime) -> Manifest:
        server = self.identity.server
        return open_manifest(
            envelope,
            server.trust_root,
            tenant_id=server.tenant_id,
            device_id=self.identity.device_id,
            device_key=self.gateway.key.thumbprint,
            last_version=last_version,
            now=now,
        )

    def _fetch_missing(self, manifest: Manifest) -> tuple[RefusedPolicy, ...]:
        missing = [item for item in manifest.items if not self._is_stored(item)]
        refused: list[RefusedPolicy] = []
        for start in range(0, len(missing), MAX_FETCH):
            part = missing[start : start + MAX_FETCH]
            for item, envelope in zip(part, self._fetch(part), strict=True):
                try:
                    self._open(envelope, item)
                except RefusedDocumentError as error:
                    refused.append(_refused(item, error))
                else:
                    self.state.put_policy(item.digest, envelope)
        return tuple(refused)

    def _fetch(self, items: list[ManifestItem]) -> tuple[Envelope, ...]:
        sequence = self.state.next_sequence()
        digests = tuple(item.digest for item in items)
        request = FetchRequest(seq=sequence.seq, epoch=sequence.epoch, digests=digests)
        answer = self.gateway.ask("/device/v1/fetch", request, FetchAnswer)
        if answer is None or len(answer.policies) != len(items):
            raise UnusableAnswerError("The server did not give the policies that its own manifest names.")
        return answer.policies

    def _is_stored(self, item: ManifestItem) -> bool:
        try:
            return self._stored_policy(item) is not None
        except RefusedDocumentError:
            return False

    def _stored_policy(self, item: ManifestItem) -> PolicyDocument | None:
        envelope = self.state.find_policy(item.digest)
        return None if envelope is None else self._open(envelope, item)

    def _open(self, envelope: Envelope, item: ManifestItem) -> PolicyDocument:
        server = self.identity.server
        return open_policy(envelope, server.trust_root, item, server.tenant_id)


def _refused(item: ManifestItem, error: RefusedDocumentError) -> RefusedPolicy:
    return RefusedPolicy(
        policy_id=item.policy_id, digest=item.digest, code=error.code, cause=error.cause[:_CAUSE_LENGTH]
    )
