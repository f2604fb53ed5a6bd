"""Authoring policies: every save that changes something is a new, signed, immutable revision that goes out at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from shieldwall.catalog.findings import InvalidPolicyError
from shieldwall.catalog.model import Catalog
from shieldwall.catalog.validate import ServerEndpoints
from shieldwall.contract.ids import PolicyId, TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.holding import tags_for_copy
from shieldwall.server.manager.drafts import MAX_NAME_LENGTH, PolicyDraft, draft_of, reason_findings
from shieldwall.server.manager.publishing import PolicyTooLargeError
from shieldwall.server.manager.reach import Reach
from shieldwall.server.manager.revisions import (
    document_of,
    find_policy,
    get_policy,
    get_revision,
    history,
    newest_revision,
)
from shieldwall.server.manager.saving import PreconditionFailedError, Saving, expect
from shieldwall.server.manager.signing import Signatures
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.policies import policies
from shieldwall.server.storage.policies.aims import ChangeKind
from shieldwall.server.storage.records import Page, Policy

__all__ = [
    "MAX_NAME_LENGTH",
    "Policies",
    "PolicyDraft",
    "PolicyTooLargeError",
    "PreconditionFailedError",
    "document_of",
    "draft_of",
    "get_policy",
    "history",
    "list_policies",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """Saves policies: checked against the catalog, signed, and on their way to the devices they are assigned to.

    Whoever changes a policy may say why: the ``reason`` stands in the new revision and in the audit trail.
    """

    catalog: Catalog
    signatures: Signatures
    server: ServerEndpoints | None = None

    def create(self, connection: Connection, acting: Acting, draft: PolicyDraft, *, reason: str = "") -> Policy:
        """Save a new policy as its first revision; it reaches nobody until it is assigned.

        Raises:
            InvalidPolicyError: The settings do not fit catalog and template; it holds all findings.
            PolicyTooLargeError: A device would not take it.
        """
        targets.lock(connection)  # what it refers to stays as it is until this is saved
        return self._saving.add(connection, acting, draft, reason)

    def update(
        self,
        connection: Connection,
        acting: Acting,
        policy_id: PolicyId,
        draft: PolicyDraft,
        *,
        expected_revision: int | None = None,
        reason: str = "",
    ) -> Policy:
        """Save a policy. What a device would not notice makes no new revision.

        Raises:
            NotFoundError: There is no such policy.
            PreconditionFailedError: It is not at the revision expected any more.
            InvalidPolicyError: The settings do not fit catalog and template; it holds all findings.
            PolicyTooLargeError: A device would not take it.
        """
        before = _held(connection, acting, policy_id, expected_revision)
        return self._save(connection, acting, before, draft, reason)

    def reorder(
        self,
        connection: Connection,
        acting: Acting,
        policy_id: PolicyId,
        priority: int,
        *,
        expected_revision: int | None = None,
        reason: str = "",
    ) -> Policy:
        """Give a policy another priority, 1 the best; where the tenant lets it decide, devices follow it.

        Raises:
            NotFoundError: There is no such policy.
            PreconditionFailedError: It is not at the revision expected any more.
            InvalidPolicyError: That is no priority.
        """
        before = _held(connection, acting, policy_id, expected_revision)
        return self._save(connection, acting, before, replace(draft_of(before), priority=priority), reason)

    def rollback(
        self,
        connection: Connection,
        acting: Acting,
        policy_id: PolicyId,
        revision: int,
        *,
        expected_revision: int | None = None,
        reason: str = "",
    ) -> Policy:
        """Save what an earlier revision said as the next one; whom it is assigned to and its scope tags stay.

        A policy that was deleted comes back under its old id, assigned to nobody.

        References are followed to what the reusable settings say today.

        Raises:
            NotFoundError: There is no such policy or revision.
            PreconditionFailedError: It is not at the revision expected any more.
            InvalidPolicyError: It does not fit the catalog any more, or refers to what is gone.
        """
        targets.lock(connection)
        earlier = get_revision(connection, acting.tenant_id, policy_id, revision).draft
        if expected_revision is None and find_policy(connection, acting.tenant_id, policy_id) is None:
            last = newest_revision(connection, acting.tenant_id, policy_id)
            return self._saving.add(connection, acting, earlier, reason or f"Restored revision {revision}.", after=last)
        before = _held(connection, acting, policy_id, expected_revision)
        draft = replace(earlier, role_scope_tag_ids=before.role_scope_tag_ids)
        why = reason or f"Rolled back to revision {revision}."
        return self._save(connection, acting, before, draft, why)

    def create_copy(
        self,
        connection: Connection,
        acting: Acting,
        policy_id: PolicyId,
        name: str,
        description: str | None = None,
        *,
        reason: str = "",
    ) -> Policy:
        """Save the content of a policy as a new one, assigned to nobody and without a priority.

        Raises:
            NotFoundError: There is no such policy.
            InvalidPolicyError: The name cannot be, or the policy does not fit the catalog any more.
        """
        original = get_policy(connection, acting.tenant_id, policy_id)
        told = original.description if description is None else description
        tags = tags_for_copy(acting, ResourceAction.CREATE_POLICIES, original.role_scope_tag_ids)
        draft = replace(draft_of(original), name=name, description=told, priority=None, role_scope_tag_ids=tags)
        return self.create(connection, acting, draft, reason=reason or f"Copied from {original.name}.")

    def delete(
        self,
        connection: Connection,
        acting: Acting,
        policy_id: PolicyId,
        *,
        expected_revision: int | None = None,
        reason: str = "",
    ) -> None:
        """Delete a policy with its assignments; devices return to what their other policies say.

        Raises:
            NotFoundError: There is no such policy.
            PreconditionFailedError: It is not at the revision expected any more.
            InvalidPolicyError: The reason is no plain text.
        """
        policy = _held(connection, acting, policy_id, expected_revision)
        if findings := tuple(reason_findings(reason)):
            raise InvalidPolicyError(findings)
        reach = Reach(connection, acting)
        reach.policy(policy_id)
        self._saving.remove(connection, acting, policy, reason)
        reach.aim(ChangeKind.POLICY, policy_id)

    @property
    def _saving(self) -> Saving:
        return Saving(catalog=self.catalog, signatures=self.signatures, server=self.server)

    def _save(self, connection: Connection, acting: Acting, before: Policy, draft: PolicyDraft, reason: str) -> Policy:
        after = self._saving.put(connection, acting, before, draft, reason)
        if after.digest != before.digest:
            reach = Reach(connection, acting)
            reach.policy(before.id)
            reach.aim(ChangeKind.POLICY, before.id)
        return after


def list_policies(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[Policy, ...]:
    """Return one page of a tenant's policies, ordered by id."""
    return policies.list_policies(connection, tenant_id, page)


def _held(connection: Connection, acting: Acting, policy_id: PolicyId, expected_revision: int | None) -> Policy:
    """Return a policy that nobody else can change until this transaction ends."""
    targets.lock(connection)
    policy = get_policy(connection, acting.tenant_id, policy_id)
    expect(policy, expected_revision)
    return policy
