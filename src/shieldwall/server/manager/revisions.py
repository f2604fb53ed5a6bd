"""The revisions of a policy: who made them, when and why, and what each of them said.

They outlive their policy, so what was deleted can still be read, and brought back.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.ids import PolicyId, TenantId
from shieldwall.contract.messages import Envelope
from shieldwall.contract.settings import PolicyDocument
from shieldwall.server.manager.drafts import PolicyDraft
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.policies import policies, revisions
from shieldwall.server.storage.records import Page, Policy, PolicyRevision
from shieldwall.trust import strict_base64


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionContent:
    """One revision: how it came about, what devices got, and what the author had written.

    ``document`` holds secrets in clear, and addresses in the places of references; show people ``draft``.
    """

    revision: PolicyRevision
    document: PolicyDocument
    draft: PolicyDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRevisions:
    """Two revisions of a policy, the one to start from first."""

    before: RevisionContent
    after: RevisionContent


def find_policy(connection: Connection, tenant_id: TenantId, policy_id: PolicyId) -> Policy | None:
    """Return a policy of this tenant, ``None`` when it has none of this id, or no more."""
    policy = policies.find(connection, policy_id)
    return policy if policy is not None and policy.tenant_id == tenant_id else None


def get_policy(connection: Connection, tenant_id: TenantId, policy_id: PolicyId) -> Policy:
    """Return a policy of this tenant. Raises: NotFoundError."""
    policy = find_policy(connection, tenant_id, policy_id)
    if policy is None:  # the same answer as for others' policies, so that nobody learns of them
        raise NotFoundError(f"There is no policy {policy_id}.")
    return policy


def newest_revision(connection: Connection, tenant_id: TenantId, policy_id: PolicyId) -> PolicyRevision:
    """Return the newest revision of a policy of this tenant, also of a deleted one. Raises: NotFoundError."""
    found = revisions.list_revisions(connection, policy_id, Page(size=1))
    if not found or found[0].tenant_id != tenant_id:
        raise NotFoundError(f"There is no policy {policy_id}.")
    return found[0]


def history(connection: Connection, tenant_id: TenantId, policy_id: PolicyId, page: Page) -> tuple[PolicyRevision, ...]:
    """Return one page of a policy's revisions, newest first, also of a deleted one. Raises: NotFoundError."""
    newest_revision(connection, tenant_id, policy_id)
    return revisions.list_revisions(connection, policy_id, page)


def document_of(revision: PolicyRevision) -> PolicyDocument:
    """Read what a revision says; this server signed it, and only devices need to ask by which key."""
    envelope = strict_json.decode(revision.envelope, Envelope)
    return strict_json.decode(strict_base64.decode(envelope.payload), PolicyDocument)


def content_of(revision: PolicyRevision) -> RevisionContent:
    """Read a revision as devices got it and as its author wrote it. Scope tags are no part of a revision."""
    document = document_of(revision)
    draft = PolicyDraft(
        name=document.name,
        description=revision.description,
        platforms=document.platforms,
        technologies=document.technologies,
        template_id=document.template_id,
        settings=document.settings if revision.authored is None else revision.authored,
        priority=document.priority,
    )
    return RevisionContent(revision=revision, document=document, draft=draft)


def get_revision(connection: Connection, tenant_id: TenantId, policy_id: PolicyId, number: int) -> RevisionContent:
    """Return one revision of a policy, also of a deleted one. Raises: NotFoundError."""
    newest_revision(connection, tenant_id, policy_id)
    return content_of(revisions.get(connection, policy_id, number))


def compare_revisions(
    connection: Connection, tenant_id: TenantId, policy_id: PolicyId, *, before: int, after: int
) -> ComparedRevisions:
    """Return two revisions of a policy side by side. Raises: NotFoundError."""
    return ComparedRevisions(
        before=get_revision(connection, tenant_id, policy_id, before),
        after=get_revision(connection, tenant_id, policy_id, after),
    )
