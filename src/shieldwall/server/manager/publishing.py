"""From what an author wrote to the signed revision that devices get.

What is authored may refer to reusable settings, and knows secrets by their tokens; what is published says it all. Both
forms are checked against the catalog: a group that makes a rule impossible is found when the rule is saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from msgspec.structs import replace
from sqlalchemy import Connection

from shieldwall.catalog.findings import Finding, InvalidPolicyError
from shieldwall.catalog.model import Catalog
from shieldwall.catalog.validate import ServerEndpoints, validate
from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import PolicyId, ReusableSettingId, TenantId
from shieldwall.contract.messages import MAX_BODY_BYTES
from shieldwall.contract.settings import PolicyDocument, SettingInstance
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager.drafts import PolicyDraft, frame_findings, reason_findings
from shieldwall.server.manager.references import Addresses, addresses_of, expanded, references_in
from shieldwall.server.manager.rewriting import Settings
from shieldwall.server.manager.secrets import revealed, tokens_in
from shieldwall.server.manager.signing import MOST_LOST_NUMBERS, Signatures
from shieldwall.server.signer.errors import RevisionTakenError
from shieldwall.server.storage.policies import reusable_settings, secrets
from shieldwall.server.storage.records import PolicyRevision
from shieldwall.trust import moments


class PolicyTooLargeError(ShieldwallError):
    """A policy is larger than a device takes."""

    code = "policyTooLarge"
    remedy = "Divide the settings between several policies; their lists are united on the device."


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What devices get of a draft, and which reusable settings went into it."""

    settings: Settings
    references: frozenset[ReusableSettingId]


def published(
    connection: Connection,
    catalog: Catalog,
    tenant_id: TenantId,
    draft: PolicyDraft,
    reason: str = "",
    *,
    server: ServerEndpoints | None = None,
    reusable: Mapping[ReusableSettingId, SettingInstance] = MappingProxyType({}),
) -> Published:
    """Find out what devices would get of a draft; nothing is written.

    Where ``server`` says how devices reach this server, no firewall rule may cut them off from it. ``reusable`` are
    reusable settings as they would be, in the places of those that are kept.

    Raises:
        InvalidPolicyError: The draft does not fit catalog and template, refers to what is not there, or does not fit
            any more with its references replaced; it holds all findings.
    """
    values = secrets.values_of(connection, tenant_id, tokens_in(draft.settings))
    settings, unknown = revealed(draft.settings, values)
    _refuse((*frame_findings(draft), *reason_findings(reason), *unknown, *_validated(catalog, draft, settings, server)))
    references = references_in(catalog, settings)
    if not references:
        return Published(settings=settings, references=references)
    settings, unknown = expanded(catalog, settings, _addresses(connection, catalog, tenant_id, references, reusable))
    _refuse(unknown)
    _refuse(
        replace(finding, message=f"With the reusable settings in their places: {finding.message}")
        for finding in _validated(catalog, draft, settings, server)
    )
    return Published(settings=settings, references=references)


def document(
    catalog: Catalog,
    draft: PolicyDraft,
    settings: Settings,
    *,
    tenant_id: TenantId,
    policy_id: PolicyId,
    revision: int,
    now: datetime,
) -> PolicyDocument:
    """Write what a revision of a policy says to devices, who get these settings."""
    return PolicyDocument(
        tenant_id=tenant_id,
        policy_id=policy_id,
        revision=revision,
        name=draft.name,
        platforms=draft.platforms,
        technologies=draft.technologies,
        template_id=draft.template_id,
        modified_at=moments.write_exactly(now),
        catalog_version=catalog.version,
        settings=settings,
        priority=draft.priority,
    )


def body_of(written: PolicyDocument) -> bytes:
    """Return the bytes of a document that are signed. Raises: PolicyTooLargeError."""
    body = strict_json.encode(written)
    if len(body) > MAX_BODY_BYTES:
        raise PolicyTooLargeError(
            f"The policy {written.name!r} has {len(body)} bytes, at most {MAX_BODY_BYTES} are possible."
        )
    return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """Signs revisions of one policy, under numbers that nothing else was ever signed under."""

    catalog: Catalog
    signatures: Signatures
    acting: Acting
    policy_id: PolicyId

    def revision(
        self, draft: PolicyDraft, settings: Settings, number: int, reason: str, *, now: datetime
    ) -> PolicyRevision:
        """Sign a revision under the first number that is free.

        A save that was undone after signing leaves its number taken for ever: the signer never signs two documents as
        one revision.

        Raises:
            PolicyTooLargeError: A device would not take it.
        """
        for following in range(number, number + MOST_LOST_NUMBERS):
            try:
                return self._sign(draft, settings, following, reason, now)
            except RevisionTakenError:
                continue
        return self._sign(draft, settings, number + MOST_LOST_NUMBERS, reason, now)

    def _sign(self, draft: PolicyDraft, settings: Settings, number: int, reason: str, now: datetime) -> PolicyRevision:
        body = body_of(
            document(
                self.catalog,
                draft,
                settings,
                tenant_id=self.acting.tenant_id,
                policy_id=self.policy_id,
                revision=number,
                now=now,
            )
        )
        return PolicyRevision(
            digest=strict_json.digest_of_bytes(body),
            policy_id=self.policy_id,
            revision=number,
            length=len(body),
            envelope=strict_json.encode(self.signatures.envelope_of(body)),
            created_at=now,
            created_by=self.acting.actor[:256],
            tenant_id=self.acting.tenant_id,
            reason=reason,
            description=draft.description,
            authored=None if draft.settings == settings else draft.settings,
        )


def _validated(
    catalog: Catalog, draft: PolicyDraft, settings: Settings, server: ServerEndpoints | None
) -> tuple[Finding, ...]:
    return validate(catalog, draft.template_id, draft.platforms, draft.technologies, settings, server=server)


def _addresses(
    connection: Connection,
    catalog: Catalog,
    tenant_id: TenantId,
    references: frozenset[ReusableSettingId],
    proposed: Mapping[ReusableSettingId, SettingInstance],
) -> Addresses:
    read = {
        setting.id: addresses_of(catalog, proposed.get(setting.id, setting.setting_instance))
        for setting in reusable_settings.find_many(connection, references)
        if setting.tenant_id == tenant_id
    }
    return {setting: found for setting, found in read.items() if not isinstance(found, Finding)}


def _refuse(findings: Iterable[Finding]) -> None:
    if found := tuple(findings):
        raise InvalidPolicyError(found)
