"""Authoring policies: every save that changes something is a new, signed, immutable revision that goes out at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.catalog.validate import Finding, InvalidPolicyError, validate
from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import PolicyId, TemplateId, TenantId
from shieldwall.contract.messages import MAX_BODY_BYTES, Envelope
from shieldwall.contract.settings import PolicyDocument, SettingInstance
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager.targeting import devices_of_policy, retarget
from shieldwall.server.signer.errors import RevisionTakenError
from shieldwall.server.signer.ports import Signer
from shieldwall.server.storage import policies, revisions, targets
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.records import Page, Policy, PolicyRevision
from shieldwall.trust import moments, strict_base64

_DEFAULT_SCOPE: Final = ("0",)
_MOST_LOST_NUMBERS: Final = 32
_MOST_DESCRIPTION: Final = 1_000
MAX_NAME_LENGTH: Final = 200
"""As ``PolicyDocument`` bounds it."""


class PreconditionFailedError(ShieldwallError):
    """Somebody else saved the policy in between."""

    code = "preconditionFailed"
    remedy = "Read the policy again, apply your change to what it says now, and save that."


class PolicyTooLargeError(ShieldwallError):
    """A policy is larger than a device takes."""

    code = "policyTooLarge"
    remedy = "Divide the settings between several policies; their lists are united on the device."


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDraft:
    """What an author decides about a policy."""

    name: str
    description: str = ""
    platforms: str
    technologies: str
    template_id: TemplateId
    role_scope_tag_ids: tuple[str, ...] = _DEFAULT_SCOPE
    settings: tuple[SettingInstance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """Saves policies: checked against the catalog, signed, and on their way to the devices they are assigned to."""

    catalog: Catalog
    signer: Signer

    def create(self, connection: Connection, acting: Acting, draft: PolicyDraft) -> Policy:
        """Save a new policy as its first revision; it reaches nobody until it is assigned.

        Raises:
            InvalidPolicyError: The settings do not fit catalog and template; it holds all findings.
            PolicyTooLargeError: A device would not take it.
        """
        self._check(draft)
        now = acting.clock.now()
        policy_id = PolicyId(acting.new_id())
        revision = self._publish(acting, draft, policy_id, 1, now)
        policy = Policy(
            id=policy_id,
            tenant_id=acting.tenant_id,
            name=draft.name,
            description=draft.description,
            platforms=draft.platforms,
            technologies=draft.technologies,
            template_id=draft.template_id,
            role_scope_tag_ids=draft.role_scope_tag_ids,
            settings=draft.settings,
            revision=revision.revision,
            digest=revision.digest,
            created_at=now,
            modified_at=now,
        )
        policies.add(connection, policy)
        revisions.add(connection, revision)
        _record(connection, acting, "policy.created", policy)
        return policy

    def update(
        self,
        connection: Connection,
        acting: Acting,
        policy_id: PolicyId,
        draft: PolicyDraft,
        *,
        expected_revision: int | None = None,
    ) -> Policy:
        """Save a policy. What a device would not notice makes no new revision.

        Raises:
            NotFoundError: There is no such policy.
            PreconditionFailedError: It is not at the revision expected any more.
            InvalidPolicyError: The settings do not fit catalog and template; it holds all findings.
            PolicyTooLargeError: A device would not take it.
        """
        targets.lock(connection)
        before = get_policy(connection, acting.tenant_id, policy_id)
        if expected_revision is not None and expected_revision != before.revision:
            raise PreconditionFailedError(
                f"The policy {policy_id} is at revision {before.revision}, expected was {expected_revision}."
            )
        self._check(draft)
        if draft == draft_of(before):
            return before
        now = acting.clock.now()
        after = replace(
            before,
            name=draft.name,
            description=draft.description,
            platforms=draft.platforms,
            technologies=draft.technologies,
            template_id=draft.template_id,
            role_scope_tag_ids=draft.role_scope_tag_ids,
            settings=draft.settings,
            modified_at=now,
        )
        if _enforced(draft) != _enforced(draft_of(before)):
            revision = self._publish(acting, draft, policy_id, before.revision + 1, now)
            revisions.add(connection, revision)
            after = replace(after, revision=revision.revision, digest=revision.digest)
        policies.put(connection, after)
        _record(connection, acting, "policy.changed", after)
        if after.digest != before.digest:
            retarget(connection, devices_of_policy(connection, acting.tenant_id, policy_id), now)
        return after

    def delete(self, connection: Connection, acting: Acting, policy_id: PolicyId) -> None:
        """Delete a policy with its assignments; devices return to what their other policies say.

        Raises:
            NotFoundError: There is no such policy.
        """
        targets.lock(connection)
        policy = get_policy(connection, acting.tenant_id, policy_id)
        reached = devices_of_policy(connection, acting.tenant_id, policy_id)
        policies.remove(connection, policy_id)
        now = acting.clock.now()
        _record(connection, acting, "policy.deleted", policy)
        retarget(connection, reached, now)

    def _check(self, draft: PolicyDraft) -> None:
        findings = (
            *_frame_findings(draft),
            *validate(self.catalog, draft.template_id, draft.platforms, draft.technologies, draft.settings),
        )
        if findings:
            raise InvalidPolicyError(findings)

    def _publish(
        self, acting: Acting, draft: PolicyDraft, policy_id: PolicyId, number: int, now: datetime
    ) -> PolicyRevision:
        """Sign a revision under the first number that is free.

        A save that was undone after signing leaves its number taken for ever: the signer never signs two documents as
        one revision.
        """
        for following in range(number, number + _MOST_LOST_NUMBERS):
            try:
                return self._sign(acting, draft, policy_id, following, now)
            except RevisionTakenError:
                continue
        return self._sign(acting, draft, policy_id, number + _MOST_LOST_NUMBERS, now)

    def _sign(
        self, acting: Acting, draft: PolicyDraft, policy_id: PolicyId, number: int, now: datetime
    ) -> PolicyRevision:
        document = strict_json.encode(
            PolicyDocument(
                tenant_id=acting.tenant_id,
                policy_id=policy_id,
                revision=number,
                name=draft.name,
                platforms=draft.platforms,
                technologies=draft.technologies,
                template_id=draft.template_id,
                modified_at=moments.write(now),
                catalog_version=self.catalog.version,
                settings=draft.settings,
            )
        )
        if len(document) > MAX_BODY_BYTES:
            raise PolicyTooLargeError(
                f"The policy {draft.name!r} has {len(document)} bytes, at most {MAX_BODY_BYTES} are possible."
            )
        return PolicyRevision(
            digest=strict_json.digest_of_bytes(document),
            policy_id=policy_id,
            revision=number,
            length=len(document),
            envelope=strict_json.encode(self.signer.sign_policy(document)),
            created_at=now,
            created_by=acting.actor,
        )


def get_policy(connection: Connection, tenant_id: TenantId, policy_id: PolicyId) -> Policy:
    """Return a policy of this tenant. Raises: NotFoundError."""
    policy = policies.find(connection, policy_id)
    if policy is None or policy.tenant_id != tenant_id:  # the same answer, so that nobody learns of others' policies
        raise NotFoundError(f"There is no policy {policy_id}.")
    return policy


def list_policies(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[Policy, ...]:
    """Return one page of a tenant's policies, ordered by id."""
    return policies.list_policies(connection, tenant_id, page)


def history(connection: Connection, tenant_id: TenantId, policy_id: PolicyId, page: Page) -> tuple[PolicyRevision, ...]:
    """Return one page of a policy's revisions, newest first. Raises: NotFoundError."""
    get_policy(connection, tenant_id, policy_id)
    return revisions.list_revisions(connection, policy_id, page)


def document_of(revision: PolicyRevision) -> PolicyDocument:
    """Read what a revision says; this server signed it, and only devices need to ask by which key."""
    envelope = strict_json.decode(revision.envelope, Envelope)
    return strict_json.decode(strict_base64.decode(envelope.payload), PolicyDocument)


def draft_of(policy: Policy) -> PolicyDraft:
    """Return what the author of a policy decided, to be changed and saved."""
    return PolicyDraft(
        name=policy.name,
        description=policy.description,
        platforms=policy.platforms,
        technologies=policy.technologies,
        template_id=policy.template_id,
        role_scope_tag_ids=policy.role_scope_tag_ids,
        settings=policy.settings,
    )


def _frame_findings(draft: PolicyDraft) -> Iterator[Finding]:
    if not draft.name.strip() or len(draft.name) > MAX_NAME_LENGTH:
        allowed = f"1 to {MAX_NAME_LENGTH} characters, not all of them spaces."
        yield Finding("name", "invalidName", "The name is missing or too long.", allowed)
    if len(draft.description) > _MOST_DESCRIPTION:
        yield Finding(
            "description", "tooLong", "The description is too long.", f"At most {_MOST_DESCRIPTION} characters."
        )


def _enforced(draft: PolicyDraft) -> PolicyDraft:
    """Return the part of a draft that is signed and sent."""
    return replace(draft, description="", role_scope_tag_ids=())


def _record(connection: Connection, acting: Acting, activity: str, policy: Policy) -> None:
    acting.record(connection, activity, "policy", policy.id, name=policy.name, revision=policy.revision)
