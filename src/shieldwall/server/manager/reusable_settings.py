"""Reusable settings: addresses under one name, which the firewall rules of many policies refer to.

Devices get the addresses in the places of the references, so a change publishes every policy anew that refers to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

from msgspec import structs
from sqlalchemy import Connection

from shieldwall.catalog.findings import Finding, InvalidPolicyError
from shieldwall.catalog.model import Catalog
from shieldwall.catalog.validate import ServerEndpoints, validate_reusable
from shieldwall.contract.ids import ReusableSettingId, TenantId
from shieldwall.contract.settings import SettingInstance
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.names import is_name, is_text
from shieldwall.server.manager.drafts import MAX_REASON_LENGTH, draft_of, reason_findings
from shieldwall.server.manager.reach import Reach
from shieldwall.server.manager.references import addresses_of
from shieldwall.server.manager.saving import Saving
from shieldwall.server.manager.signing import Signatures, Wants
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.policies import policies, reusable_settings
from shieldwall.server.storage.policies.aims import ChangeKind
from shieldwall.server.storage.records import Page, Policy, ReusableSetting

_MOST_DESCRIPTION: Final = 1_024


class InvalidReusableSettingError(InvalidPolicyError):
    """A reusable setting cannot be, or a policy that refers to it could not be any more; ``findings`` say where."""

    code: ClassVar[str] = "invalidReusableSetting"
    remedy: ClassVar[str] = "Correct the fields named, or first change the policies named, and save it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReusableDraft:
    """What an author decides about a reusable setting."""

    display_name: str
    description: str = ""
    setting_instance: SettingInstance


@dataclass(frozen=True, slots=True, kw_only=True)
class ReusableSettings:
    """Saves reusable settings, and the policies that refer to them with them."""

    catalog: Catalog
    signatures: Signatures
    server: ServerEndpoints | None = None

    def create(
        self, connection: Connection, acting: Acting, draft: ReusableDraft, *, reason: str = ""
    ) -> ReusableSetting:
        """Save a new reusable setting.

        Raises:
            InvalidReusableSettingError: It cannot be; the error holds all findings.
        """
        self._check(draft, reason)
        now = acting.clock.now()
        made = ReusableSetting(
            id=ReusableSettingId(acting.new_id()),
            tenant_id=acting.tenant_id,
            display_name=draft.display_name,
            description=draft.description,
            setting_definition_id=draft.setting_instance.definition,
            setting_instance=draft.setting_instance,
            version=1,
            created_at=now,
            modified_at=now,
        )
        reusable_settings.add(connection, made)
        _record(connection, acting, "reusableSetting.created", made, reason)
        return made

    def update(
        self,
        connection: Connection,
        acting: Acting,
        setting_id: ReusableSettingId,
        draft: ReusableDraft,
        *,
        reason: str = "",
    ) -> ReusableSetting:
        """Save a reusable setting, and publish every policy anew whose devices get other addresses by it.

        Raises:
            NotFoundError: There is no such reusable setting.
            InvalidReusableSettingError: It cannot be, or a policy that refers to it could not be any more.
            PolicyTooLargeError: A device would not take a policy that refers to it.
        """
        targets.lock(connection)
        before = get_setting(connection, acting.tenant_id, setting_id)
        self._check(draft, reason)
        if draft == draft_of_setting(before):
            return before
        after = replace(
            before,
            display_name=draft.display_name,
            description=draft.description,
            setting_definition_id=draft.setting_instance.definition,
            setting_instance=draft.setting_instance,
            version=before.version + 1,
            modified_at=acting.clock.now(),
        )
        reusable_settings.put(connection, after)
        _record(connection, acting, "reusableSetting.changed", after, reason)
        self._publish_policies(connection, acting, after, reason)
        return after

    def delete(
        self, connection: Connection, acting: Acting, setting_id: ReusableSettingId, *, reason: str = ""
    ) -> None:
        """Remove a reusable setting.

        Raises:
            NotFoundError: There is no such reusable setting.
            StillReferencedError: A policy refers to it.
            InvalidReusableSettingError: The reason is no plain text.
        """
        targets.lock(connection)
        removed = get_setting(connection, acting.tenant_id, setting_id)
        _refuse(reason_findings(reason))
        reusable_settings.remove(connection, setting_id)
        _record(connection, acting, "reusableSetting.deleted", removed, reason)

    def _publish_policies(self, connection: Connection, acting: Acting, changed: ReusableSetting, reason: str) -> None:
        acting = acting.at_once()  # none of them was modified before another
        why = f"The reusable setting {changed.display_name} has changed{f': {reason}' if reason else '.'}"
        saving = Saving(catalog=self.catalog, signatures=self.signatures, server=self.server)
        reach, wants = Reach(connection, acting), Wants()
        for before in referring_policies(connection, acting.tenant_id, changed.id):
            try:
                with wants.noted():
                    after = saving.put(connection, acting, before, draft_of(before), why[:MAX_REASON_LENGTH])
                    if after.digest != before.digest:
                        reach.policy(before.id)
            except InvalidPolicyError as error:
                _refuse(
                    structs.replace(each, message=f"In the policy {before.name!r}: {each.message}")
                    for each in error.findings
                )
        wants.refuse_any()
        reach.aim(ChangeKind.POLICY)

    def _check(self, draft: ReusableDraft, reason: str) -> None:
        _refuse((*_frame_findings(draft), *reason_findings(reason), *self._instance_findings(draft.setting_instance)))

    def _instance_findings(self, instance: SettingInstance) -> tuple[Finding, ...]:
        findings = validate_reusable(self.catalog, instance)
        if not findings and isinstance(found := addresses_of(self.catalog, instance), Finding):
            return (found,)
        return findings


def get_setting(connection: Connection, tenant_id: TenantId, setting_id: ReusableSettingId) -> ReusableSetting:
    """Return a reusable setting of this tenant. Raises: NotFoundError."""
    found = reusable_settings.find(connection, setting_id)
    if found is None or found.tenant_id != tenant_id:  # the same answer, so that nobody learns of others' settings
        raise NotFoundError(f"There is no reusable setting {setting_id}.")
    return found


def list_settings(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[ReusableSetting, ...]:
    """Return one page of a tenant's reusable settings, ordered by id."""
    return reusable_settings.list_settings(connection, tenant_id, page)


def referring_policies(
    connection: Connection, tenant_id: TenantId, setting_id: ReusableSettingId
) -> tuple[Policy, ...]:
    """Return the policies that refer to a reusable setting, ordered by id. Raises: NotFoundError."""
    get_setting(connection, tenant_id, setting_id)
    return tuple(policies.get(connection, policy) for policy in reusable_settings.referring(connection, setting_id))


def reference_counts(
    connection: Connection, setting_ids: Collection[ReusableSettingId]
) -> Mapping[ReusableSettingId, int]:
    """Return how many policies refer to each of these reusable settings."""
    return reusable_settings.count_referring(connection, setting_ids)


def draft_of_setting(kept: ReusableSetting) -> ReusableDraft:
    """Return what the author of a reusable setting decided, to be changed and saved."""
    return ReusableDraft(
        display_name=kept.display_name, description=kept.description, setting_instance=kept.setting_instance
    )


def _frame_findings(draft: ReusableDraft) -> Iterator[Finding]:
    if not is_name(draft.display_name):
        yield Finding("displayName", "invalidName", "The name is missing or too long.", "1 to 256 plain characters.")
    if not is_text(draft.description, _MOST_DESCRIPTION):
        allowed = f"At most {_MOST_DESCRIPTION} plain characters."
        yield Finding("description", "tooLong", "The description is too long or not plain text.", allowed)


def _refuse(findings: Iterator[Finding] | tuple[Finding, ...]) -> None:
    if found := tuple(findings):
        raise InvalidReusableSettingError(found)


def _record(connection: Connection, acting: Acting, activity: str, setting: ReusableSetting, reason: str) -> None:
    told = {"reason": reason} if reason else {}
    acting.record(
        connection,
        activity,
        "reusableSetting",
        setting.id,
        name=setting.display_name,
        version=setting.version,
        **told,
    )
