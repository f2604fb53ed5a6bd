"""Policies that somebody is making or changing and has not saved: kept so that they can be left and taken up again.

Each is its person's own. Secrets in it are known by tokens from the moment it is kept, like those of policies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import PolicyId, TemplateId, TenantId
from shieldwall.contract.kinds import learned
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager.assignments import Assigned
from shieldwall.server.manager.change_plans import Create, Update
from shieldwall.server.manager.drafts import PolicyDraft, draft_of
from shieldwall.server.manager.effects import Effect
from shieldwall.server.manager.revisions import find_policy, get_policy
from shieldwall.server.manager.saving import PreconditionFailedError
from shieldwall.server.manager.secrets import sealed
from shieldwall.server.manager.seen_states import seen_state
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.policies import assignments
from shieldwall.server.storage.portal import unfinished_policies
from shieldwall.server.storage.portal.unfinished_policies import UnfinishedRecord

KEPT_FOR: Final = timedelta(days=30)
"""How long one is kept that nobody works at."""
PREVIEW_HOLDS: Final = timedelta(minutes=30)
"""How long a preview that took long may be saved by."""
MOST_OF_PERSON: Final = 50
_MOST_BYTES: Final = 2 * 1024 * 1024


class TooManyUnfinishedError(ShieldwallError):
    """A person has begun very many policies, or a very large one."""

    code = "tooManyUnfinished"
    remedy = "Finish or discard one that you have begun, and try again."


class UnsupportedTemplateError(ShieldwallError):
    """A kind of policy that is known and not delivered through this channel."""

    code = "unsupportedTemplate"
    remedy = "Choose another kind of policy."


class Previewed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it would do, worked out for long at some moment; ``of`` names what was entered then.

    ``is_partial`` says that it was worked out for somebody who saw a part of the tenant.
    """

    of: str
    at: datetime
    effect: Effect
    is_partial: bool


class Content(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What was entered. ``based_on`` is the revision of the policy that it began with, ``seen`` the state of it."""

    draft: PolicyDraft
    assigned: tuple[Assigned, ...] = ()
    based_on: int | None = None
    seen: str = ""
    previewed: Previewed | None = None

    @property
    def digest(self) -> str:
        """Name what was entered, without what it would do."""
        return digest_of_bytes(msgspec.json.encode(msgspec.structs.replace(self, previewed=None), order="sorted"))

    def effect(self, now: datetime) -> Previewed | None:
        """Return what it would do, where that was worked out for just this and not too long ago."""
        known = self.previewed
        return known if known and known.of == self.digest and now - known.at <= PREVIEW_HOLDS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """One unfinished policy; ``policy_id`` names the policy that it is to change."""

    id: str
    tenant_id: TenantId
    person_id: str
    policy_id: PolicyId | None
    content: Content
    created_at: datetime
    updated_at: datetime

    @property
    def draft(self) -> PolicyDraft:
        """The policy as it is so far."""
        return self.content.draft

    def change(self, *, with_assignments: bool = True) -> Create | Update:
        """Say what saving it means. Without leave to assign, whom the policy reaches stays as it is."""
        content = self.content
        if self.policy_id is None:
            return Create(draft=content.draft, assigned=content.assigned if with_assignments else ())
        return Update(
            policy=self.policy_id,
            draft=content.draft,
            assigned=content.assigned if with_assignments else None,
            expected_revision=content.based_on,
        )


def begin(
    connection: Connection, acting: Acting, person_id: str, catalog: Catalog, template_id: TemplateId
) -> Unfinished:
    """Begin a new policy.

    Raises:
        UnknownTemplateError: There is no such template.
        UnsupportedTemplateError: It is not delivered through this channel.
        TooManyUnfinishedError: This person has begun too many.
    """
    template = catalog.template(template_id)
    if not template.supported:
        raise UnsupportedTemplateError(f"{template.display_name} is not delivered through this channel.")
    draft = PolicyDraft(
        name="",
        platforms=template.platforms,
        technologies=template.technologies,
        template_id=template.id,
        settings=(),
    )
    return _begin(connection, acting, person_id, None, Content(draft=draft))


def begin_change(connection: Connection, acting: Acting, person_id: str, policy_id: PolicyId) -> Unfinished:
    """Begin to change a policy, or go on where this person left off.

    Raises:
        NotFoundError: There is no such policy.
        TooManyUnfinishedError: This person has begun too many.
    """
    policy = get_policy(connection, acting.tenant_id, policy_id)
    for begun in of_person(connection, acting.tenant_id, person_id):
        if begun.policy_id == policy.id:
            return begun
    return _begin(connection, acting, person_id, policy.id, _present(connection, acting.tenant_id, policy.id))


def begin_anew(connection: Connection, acting: Acting, unfinished: Unfinished) -> Unfinished:
    """Throw away what was entered, and begin with what the policy says now. Raises: NotFoundError."""
    assert unfinished.policy_id is not None, "a new policy says nothing yet"
    return keep(connection, acting, unfinished, _present(connection, acting.tenant_id, unfinished.policy_id))


def begin_over(connection: Connection, acting: Acting, unfinished: Unfinished) -> Unfinished:
    """Keep what was entered, and mean it over what the policy says now. Raises: NotFoundError."""
    assert unfinished.policy_id is not None, "a new policy says nothing yet"
    now = _present(connection, acting.tenant_id, unfinished.policy_id)
    content = msgspec.structs.replace(unfinished.content, based_on=now.based_on, seen=now.seen)
    return keep(connection, acting, unfinished, content)


def is_overtaken(connection: Connection, unfinished: Unfinished) -> bool:
    """Tell whether somebody else changed the policy since: what it says, or what makes no revision, as whom it is for.

    One that was begun before states were kept knows of the revision alone.
    """
    policy = (
        None if unfinished.policy_id is None else find_policy(connection, unfinished.tenant_id, unfinished.policy_id)
    )
    if policy is None:
        return False
    begun = unfinished.content
    return begun.based_on != policy.revision or begun.seen not in {"", seen_state(connection, policy)}


def require_not_overtaken(connection: Connection, unfinished: Unfinished) -> None:
    """Refuse to go on with what somebody else changed since. Raises: PreconditionFailedError."""
    if is_overtaken(connection, unfinished):
        raise PreconditionFailedError(f"Somebody else changed the policy {unfinished.policy_id} meanwhile.")


def get(connection: Connection, tenant_id: TenantId, person_id: str, unfinished_id: str) -> Unfinished:
    """Return one of a person's own. Raises: NotFoundError."""
    found = unfinished_policies.find(connection, unfinished_id)
    if found is None or found.tenant_id != tenant_id or found.person_id != person_id:
        raise NotFoundError(
            f"There is no unfinished policy {unfinished_id[:64]}.", remedy="It was saved or discarded; begin a new one."
        )
    return _read(found)


def of_person(connection: Connection, tenant_id: TenantId, person_id: str) -> tuple[Unfinished, ...]:
    """Return those of a person, the one worked at last first."""
    return tuple(map(_read, unfinished_policies.of_person(connection, tenant_id, person_id)))


def keep(connection: Connection, acting: Acting, unfinished: Unfinished, content: Content) -> Unfinished:
    """Keep what was entered; secrets get their tokens.

    Raises:
        NotFoundError: It was saved or discarded meanwhile.
        TooManyUnfinishedError: It is too large.
    """
    if content == unfinished.content:
        return unfinished
    settings = sealed(connection, acting, content.draft.settings)
    content = msgspec.structs.replace(content, draft=replace(content.draft, settings=settings))
    kept = replace(unfinished, content=content, updated_at=acting.clock.now())
    if not unfinished_policies.put(connection, _written(kept)):
        raise NotFoundError(f"There is no unfinished policy {unfinished.id} any more.")
    return kept


def discard(connection: Connection, unfinished: Unfinished) -> bool:
    """Throw it away; tell whether it was there. Whoever else wants to throw it away now waits, and hears that not."""
    return unfinished_policies.remove(connection, unfinished.id)


def forget_old(connection: Connection, tenant_id: TenantId, now: datetime) -> int:
    """Throw away those that nobody worked at for long; tell how many."""
    return unfinished_policies.remove_older(connection, tenant_id, now - KEPT_FOR)


def _begin(
    connection: Connection, acting: Acting, person_id: str, policy_id: PolicyId | None, content: Content
) -> Unfinished:
    now = acting.clock.now()
    forget_old(connection, acting.tenant_id, now)
    if unfinished_policies.count_of_person(connection, acting.tenant_id, person_id) >= MOST_OF_PERSON:
        raise TooManyUnfinishedError(f"You have begun {MOST_OF_PERSON} policies and not saved them.")
    begun = Unfinished(
        id=acting.new_id(),
        tenant_id=acting.tenant_id,
        person_id=person_id,
        policy_id=policy_id,
        content=content,
        created_at=now,
        updated_at=now,
    )
    unfinished_policies.add(connection, _written(begun))
    return begun


def _present(connection: Connection, tenant_id: TenantId, policy_id: PolicyId) -> Content:
    policy = get_policy(connection, tenant_id, policy_id)
    assigned = tuple(
        Assigned(kind=each.kind, group_id=each.group_id, filter_id=each.filter_id, filter_kind=each.filter_kind)
        for each in assignments.of_policy(connection, policy.id)
    )
    return Content(
        draft=draft_of(policy), assigned=assigned, based_on=policy.revision, seen=seen_state(connection, policy)
    )


def _written(unfinished: Unfinished) -> UnfinishedRecord:
    document = msgspec.json.encode(unfinished.content)
    if len(document) > _MOST_BYTES:
        raise TooManyUnfinishedError(f"The policy has {len(document)} bytes, at most {_MOST_BYTES} are kept.")
    return UnfinishedRecord(
        id=unfinished.id,
        tenant_id=unfinished.tenant_id,
        person_id=unfinished.person_id,
        policy_id=unfinished.policy_id,
        document=document.decode(),
        created_at=unfinished.created_at,
        updated_at=unfinished.updated_at,
    )


def _read(record: UnfinishedRecord) -> Unfinished:
    return Unfinished(
        id=record.id,
        tenant_id=record.tenant_id,
        person_id=record.person_id,
        policy_id=record.policy_id,
        content=msgspec.json.decode(record.document, type=learned(Content)),
        created_at=record.created_at,
        updated_at=record.updated_at,
    )
