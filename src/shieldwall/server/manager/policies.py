"""Authoring policies: every save that changes something is a new, signed, immutable revision that goes out at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.catalog.validate import check
from shieldwall.contract import strict_json
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import PolicyId, TemplateId, TenantId
from shieldwall.contract.messages import MAX_BODY_BYTES
from shieldwall.contract.settings import PolicyDocument, SettingInstance
from shieldwall.server.manager.targeting import devices_of_policy, retarget
from shieldwall.server.signer.errors import RevisionTakenError
from shieldwall.server.signer.ports import Signer
from shieldwall.server.storage import audit, policies, revisions, targets
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.records import AuditEvent, Page, Policy, PolicyRevision
from shieldwall.trust import moments

_DEFAULT_SCOPE: Final = ("0",)
_MOST_LOST_NUMBERS: Final = 32


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
    """The policies of one tenant."""

    tenant_id: TenantId
    catalog: Catalog
    signer: Signer
    clock: Clock
    new_id: Callable[[], str]

    def create(self, connection: Connection, draft: PolicyDraft, actor: str) -> Policy:
        """Save a new policy as its first revision; it reaches nobody until it is assigned.

        Raises:
            InvalidPolicyError: The settings do not fit catalog and template; it holds all findings.
            UnknownTemplateError: There is no such template.
            PolicyTooLargeError: A device would not take it.
        """
        self._check(draft)
        now = self.clock.now()
        policy_id = PolicyId(self.new_id())
        revision = self._publish(draft, policy_id, 1, now, actor)
        policy = Policy(
            id=policy_id,
            tenant_id=self.tenant_id,
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
        self._audit(connection, "createPolicy", policy, now, actor)
        return policy

    def update(
        self,
        connection: Connection,
        policy_id: PolicyId,
        draft: PolicyDraft,
        actor: str,
        *,
        expected_revision: int | None = None,
    ) -> Policy:
        """Save a policy. What a device would not notice makes no new revision.

        Raises:
            NotFoundError: There is no such policy.
            PreconditionFailedError: It is not at the revision expected any more.
            InvalidPolicyError: The settings do not fit catalog and template; it holds all findings.
            UnknownTemplateError: There is no such template.
            PolicyTooLargeError: A device would not take it.
        """
        targets.lock(connection)
        before = self.get(connection, policy_id)
        if expected_revision is not None and expected_revision != before.revision:
            raise PreconditionFailedError(
                f"The policy {policy_id} is at revision {before.revision}, expected was {expected_revision}."
            )
        self._check(draft)
        if draft == draft_of(before):
            return before
        now = self.clock.now()
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
            revision = self._publish(draft, policy_id, before.revision + 1, now, actor)
            revisions.add(connection, revision)
            after = replace(after, revision=revision.revision, digest=revision.digest)
        policies.put(connection, after)
        self._audit(connection, "updatePolicy", after, now, actor)
        if after.digest != before.digest:
            retarget(connection, devices_of_policy(connection, self.tenant_id, policy_id), now)
        return after

    def delete(self, connection: Connection, policy_id: PolicyId, actor: str) -> None:
        """Delete a policy with its assignments; devices return to what their other policies say.

        Raises:
            NotFoundError: There is no such policy.
        """
        targets.lock(connection)
        policy = self.get(connection, policy_id)
        reached = devices_of_policy(connection, self.tenant_id, policy_id)
        policies.remove(connection, policy_id)
        now = self.clock.now()
        self._audit(connection, "deletePolicy", policy, now, actor)
        retarget(connection, reached, now)

    def get(self, connection: Connection, policy_id: PolicyId) -> Policy:
        """Return a policy of this tenant. Raises: NotFoundError."""
        policy = policies.get(connection, policy_id)
        if policy.tenant_id != self.tenant_id:
            raise NotFoundError(f"There is no policy {policy_id}.")
        return policy

    def list_page(self, connection: Connection, page: Page) -> tuple[Policy, ...]:
        """Return policies of this tenant in the order of their ids."""
        return policies.list_page(connection, self.tenant_id, page)

    def history(self, connection: Connection, policy_id: PolicyId, page: Page) -> tuple[PolicyRevision, ...]:
        """Return the revisions of a policy, newest first. Raises: NotFoundError."""
        self.get(connection, policy_id)
        return revisions.list_page(connection, policy_id, page)

    def _check(self, draft: PolicyDraft) -> None:
        check(self.catalog, draft.template_id, draft.platforms, draft.technologies, draft.settings)

    def _publish(
        self, draft: PolicyDraft, policy_id: PolicyId, number: int, now: datetime, actor: str
    ) -> PolicyRevision:
        """Sign a revision under the first number that is free.

        A save that was undone after signing leaves its number taken for ever: the signer never signs two documents as
        one revision.
        """
        for following in range(number, number + _MOST_LOST_NUMBERS):
            try:
                return self._sign(draft, policy_id, following, now, actor)
            except RevisionTakenError:
                continue
        return self._sign(draft, policy_id, number + _MOST_LOST_NUMBERS, now, actor)

    def _sign(self, draft: PolicyDraft, policy_id: PolicyId, number: int, now: datetime, actor: str) -> PolicyRevision:
        document = strict_json.encode(
            PolicyDocument(
                tenant_id=self.tenant_id,
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
            created_by=actor,
        )

    def _audit(self, connection: Connection, activity: str, policy: Policy, now: datetime, actor: str) -> None:
        audit.add(
            connection,
            AuditEvent(
                id=self.new_id(),
                tenant_id=self.tenant_id,
                at=now,
                actor=actor,
                activity=activity,
                object_kind="policy",
                object_id=policy.id,
                details=f"{policy.name}, revision {policy.revision}",
            ),
        )


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


def _enforced(draft: PolicyDraft) -> PolicyDraft:
    """Return the part of a draft that is signed and sent."""
    return replace(draft, description="", role_scope_tag_ids=())
