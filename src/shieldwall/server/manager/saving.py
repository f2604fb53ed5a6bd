"""Saving one policy: its row, its next revision and its audit event. Whom it reaches is for the caller to retarget."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.catalog.validate import ServerEndpoints
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import PolicyId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.verdicts import OutOfScopeError
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.holding import require_scope, require_tag_change, tags_for_new
from shieldwall.server.manager.drafts import PolicyDraft, draft_of
from shieldwall.server.manager.publishing import Published, Publishing, published
from shieldwall.server.manager.revisions import document_of
from shieldwall.server.manager.secrets import sealed
from shieldwall.server.manager.signing import Signatures
from shieldwall.server.storage.policies import policies, reusable_settings, revisions
from shieldwall.server.storage.records import Policy, PolicyRevision


class PreconditionFailedError(ShieldwallError):
    """Somebody else saved the policy in between."""

    code = "preconditionFailed"
    remedy = "Read the policy again, apply your change to what it says now, and save that."


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """Saves policies inside a transaction that holds the lock of targeting.

    Where ``server`` says how devices reach this server, no firewall rule may cut them off from it.
    """

    catalog: Catalog
    signatures: Signatures
    server: ServerEndpoints | None = None

    def add(
        self,
        connection: Connection,
        acting: Acting,
        draft: PolicyDraft,
        reason: str = "",
        *,
        after: PolicyRevision | None = None,
        new_id: PolicyId | None = None,
    ) -> Policy:
        """Save a new policy as its first revision, or one that was deleted as the revision after its last.

        ``new_id`` is one that was drawn for it before.

        Raises:
            InvalidPolicyError: The draft cannot be; it holds all findings.
            OutOfScopeError: It has a priority, and its author sees a part of the tenant.
            PolicyTooLargeError: A device would not take it.
            ScopeTagRefusedError: A scope tag is not its author's.
            UnknownScopeTagError: There is no such scope tag.
        """
        tags = tags_for_new(connection, acting, ResourceAction.CREATE_POLICIES, draft.role_scope_tag_ids)
        _require_order(acting, ResourceAction.CREATE_POLICIES, None, draft.priority)
        draft = replace(draft, role_scope_tag_ids=tags)
        found = self._published(connection, acting, draft, reason)
        draft = replace(draft, settings=sealed(connection, acting, draft.settings))
        if after is None:
            policy_id, number, now = new_id or PolicyId(acting.new_id()), 1, acting.clock.now()
        else:
            policy_id, number, now = after.policy_id, after.revision + 1, max(acting.clock.now(), after.created_at)
        revision = self._publishing(acting, policy_id).revision(draft, found.settings, number, reason, now=now)
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
            created_at=revision.created_at,
            modified_at=revision.created_at,
            priority=draft.priority,
        )
        policies.add(connection, policy)
        revisions.add(connection, revision)
        reusable_settings.refer(connection, policy_id, found.references)
        activity = "policy.created" if after is None else "policy.restored"
        record(connection, acting, activity, policy, reason, revision=policy.revision)
        return policy

    def put(
        self, connection: Connection, acting: Acting, before: Policy, draft: PolicyDraft, reason: str = ""
    ) -> Policy:
        """Save a policy that is there. What a device would not notice makes no revision.

        Raises:
            InvalidPolicyError: The draft cannot be; it holds all findings.
            OutOfScopeError: The policy lies beyond the scope of who saves it, or its priority would be another.
            PolicyTooLargeError: A device would not take it.
            ScopeTagRefusedError: A scope tag that changes is not theirs.
            UnknownScopeTagError: There is no such scope tag.
        """
        action, tags = ResourceAction.UPDATE_POLICIES, before.role_scope_tag_ids
        require_scope(acting, action, tags, f"the policy {before.name}")
        require_tag_change(connection, acting, action, tags, draft.role_scope_tag_ids)
        _require_order(acting, action, before.priority, draft.priority)
        found = self._published(connection, acting, draft, reason)
        draft = replace(draft, settings=sealed(connection, acting, draft.settings))
        sent = document_of(revisions.get(connection, before.id, before.revision)).settings
        if draft == draft_of(before) and found.settings == sent:
            return before
        # Decided before it was signed; somebody else may have saved in between.
        now = max(acting.clock.now(), before.modified_at)
        after = replace(
            before,
            name=draft.name,
            description=draft.description,
            platforms=draft.platforms,
            technologies=draft.technologies,
            template_id=draft.template_id,
            role_scope_tag_ids=draft.role_scope_tag_ids,
            settings=draft.settings,
            priority=draft.priority,
            modified_at=now,
        )
        if draft.enforced() != draft_of(before).enforced() or found.settings != sent:
            publishing = self._publishing(acting, before.id)
            revision = publishing.revision(draft, found.settings, before.revision + 1, reason, now=now)
            revisions.add(connection, revision)
            after = replace(after, revision=revision.revision, digest=revision.digest)
        policies.put(connection, after)
        reusable_settings.refer(connection, before.id, found.references)
        record(connection, acting, "policy.changed", after, reason, revision=after.revision)
        return after

    def remove(self, connection: Connection, acting: Acting, policy: Policy, reason: str = "") -> None:
        """Remove a policy with its assignments; its revisions stay. Raises: OutOfScopeError."""
        action, tags = ResourceAction.DELETE_POLICIES, policy.role_scope_tag_ids
        require_scope(acting, action, tags, f"the policy {policy.name}")
        policies.remove(connection, policy.id)
        record(connection, acting, "policy.deleted", policy, reason, revision=policy.revision)

    def _published(self, connection: Connection, acting: Acting, draft: PolicyDraft, reason: str) -> Published:
        return published(connection, self.catalog, acting.tenant_id, draft, reason, server=self.server)

    def _publishing(self, acting: Acting, policy_id: PolicyId) -> Publishing:
        return Publishing(catalog=self.catalog, signatures=self.signatures, acting=acting, policy_id=policy_id)


def expect(policy: Policy, revision: int | None) -> None:
    """Refuse to go on where a policy is at another revision than expected. Raises: PreconditionFailedError."""
    if revision is not None and revision != policy.revision:
        raise PreconditionFailedError(
            f"The policy {policy.id} is at revision {policy.revision}, expected was {revision}."
        )


def _require_order(acting: Acting, action: ResourceAction, before: int | None, wanted: int | None) -> None:
    """Refuse another priority, which decides between all policies of the tenant, to who sees a part of them.

    Raises:
        OutOfScopeError: It is another.
    """
    if wanted != before and not acting.access.may_everywhere(action):
        raise OutOfScopeError(
            f"Priorities decide between all policies, and no role of yours grants {action.value} in the whole tenant.",
            remedy="Leave the priority as it is, or ask somebody whose roles are not narrowed.",
        )


def record(
    connection: Connection, acting: Acting, activity: str, policy: Policy, reason: str, **details: object
) -> None:
    """Add to the audit trail what happened to a policy, and why if that was said."""
    told = {"reason": reason} if reason else {}
    acting.record(connection, activity, "policy", policy.id, name=policy.name, **details, **told)
