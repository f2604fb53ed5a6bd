"""What ``status`` and ``effective`` show, read from the state directory without disturbing a running agent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from shieldwall.agent.applier.sources import SettingSource, Source
from shieldwall.agent.host.survey import Survey
from shieldwall.agent.service.enrollment import EnrollmentView, enrollment_of
from shieldwall.agent.service.records import Trouble
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import DeviceId, Digest, PolicyId, SettingId, TenantId
from shieldwall.contract.messages import Manifest
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import ItemStatus, RefusedPolicy, SettingState, SettingStatus, StatusReport
from shieldwall.trust import moments
from shieldwall.trust.device_key import KeyProtection

if TYPE_CHECKING:
    from shieldwall.agent.service.assembly import Surroundings

Stored: TypeAlias = tuple[Manifest, tuple[PolicyDocument, ...]]
"""The manifest that is stored, with its policies."""


class PolicySummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One policy that is stored to be enforced."""

    id: PolicyId
    name: str
    revision: int


class SurveySign(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that the survey found, and what gave it away."""

    finding: str
    evidence: str


class Overview(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where this device stands. ``settings`` counts settings by state."""

    onboarded: bool
    running: bool
    waiting: bool = False
    """Whether it has asked to be let in, and nothing is decided."""
    registration: str | None = None
    managed_elsewhere: str | None = None
    is_passive: bool = False
    enrollment: EnrollmentView
    survey: tuple[SurveySign, ...] = ()
    tenant_id: TenantId | None = None
    device_id: DeviceId | None = None
    servers: tuple[str, ...] = ()
    registered_at: str | None = None
    key_protection: KeyProtection | None = None
    last_check_in: str | None = None
    next_check_in_seconds: int | None = None
    manifest_version: int = 0
    target: Digest | None = None
    enforced: Digest | None = None
    policies: tuple[PolicySummary, ...] = ()
    settings: dict[str, int] = {}
    refused: tuple[RefusedPolicy, ...] = ()
    clock_offset_seconds: int = 0
    trouble: Trouble | None = None
    protected: bool = False
    troubleshooting_until: str | None = None
    leaving: bool = False


class EffectiveSetting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One setting with everything there is to say about it; ``policies`` decided, ``losers`` did not."""

    setting: SettingId
    name: str
    state: SettingState
    value: Any = None
    provider: str | None = None
    written: bool = False
    read_back: Any = None
    effective: bool | None = None
    code: str | None = None
    reason: str | None = None
    rule: str | None = None
    policies: tuple[PolicySummary, ...] = ()
    losers: tuple[PolicySummary, ...] = ()
    items: tuple[ItemStatus, ...] = ()
    source: Source | None = None
    """Whose the value in effect is; ``None`` where the product is not here to be asked."""
    local: Any = None
    """What a local administrator wants instead."""


class Effective(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is in effect on this device, setting by setting."""

    target: Digest | None
    settings: tuple[EffectiveSetting, ...]
    refused: tuple[RefusedPolicy, ...]
    others: tuple[SettingSource, ...] = ()
    """Settings of which no policy speaks, each with whose its value is."""


def overview(surroundings: Surroundings, *, running: bool) -> Overview:
    """Sum up. Raises: StateCorruptError, HostError."""
    state = surroundings.state
    found = surroundings.machine.survey()
    if state.find_identity() is None:
        return Overview(
            onboarded=False,
            waiting=state.find_pending() is not None,
            running=running,
            managed_elsewhere=found.managed_elsewhere,
            is_passive=found.is_passive,
            enrollment=enrollment_of(found),
            survey=signs(found),
        )
    enrolled = surroundings.enrolled()
    identity, standing = enrolled.identity, state.standing()
    stored = enrolled.enforcement.stored()
    report = state.find_report() or StatusReport()
    manifest = enrolled.enforcement.delivery.manifest()
    ends_at = None if manifest is None else surroundings.troubleshooting.ends_at(manifest)
    return Overview(
        onboarded=True,
        running=running,
        managed_elsewhere=found.managed_elsewhere,
        is_passive=found.is_passive,
        enrollment=enrollment_of(
            found,
            trouble=None if standing.trouble is None else standing.trouble.code,
            has_checked_in=standing.last_check_in is not None,
            told=None if manifest is None else manifest.enrollment,
        ),
        survey=signs(found),
        tenant_id=identity.server.tenant_id,
        device_id=identity.device_id,
        registration=identity.registration,
        servers=identity.server.urls,
        registered_at=identity.registered_at,
        key_protection=state.get_key().protection,
        last_check_in=standing.last_check_in,
        next_check_in_seconds=standing.next_check_in_seconds,
        manifest_version=standing.manifest_version,
        target=None if stored is None else stored[0].target,
        enforced=standing.enforced,
        policies=_summaries(stored),
        settings=dict(sorted(Counter(status.state.value for status in report.settings).items())),
        refused=report.refused,
        clock_offset_seconds=state.time().offset_seconds,
        trouble=standing.trouble,
        protected=surroundings.guard.is_protected(manifest),
        troubleshooting_until=None if ends_at is None else moments.write(ends_at),
        leaving=enrolled.enforcement.is_leaving(manifest),
    )


def signs(found: Survey) -> tuple[SurveySign, ...]:
    """List what the survey found that bears on who manages the device, with the evidence."""
    managers = [
        SurveySign(finding=f"{manager.product} manages this device.", evidence=str(manager.evidence))
        for manager in found.managers
    ]
    machine = [
        SurveySign(finding=sign.finding, evidence=sign.evidence)
        for sign in (found.unsuitable_sign, found.domain_controller_sign)
        if sign is not None
    ]
    return (*managers, *machine)


def effective(surroundings: Surroundings, catalog: Catalog) -> Effective:
    """Put names to the settings and policies of the last report. Raises: NotOnboardedError, HostError."""
    stored = surroundings.enrolled().enforcement.stored()
    report = surroundings.state.find_report() or StatusReport()
    policies = {summary.id: summary for summary in _summaries(stored)}
    sources = {(each.setting, each.provider): each for each in surroundings.enforcer.examine(with_sources=True).sources}
    spoken_of = {(status.setting, status.provider) for status in report.settings}
    return Effective(
        target=report.target,
        settings=tuple(
            _named(status, catalog, policies, sources.get((status.setting, status.provider or "")))
            for status in report.settings
        ),
        refused=report.refused,
        others=tuple(each for key, each in sources.items() if key not in spoken_of),
    )


def _named(
    status: SettingStatus,
    catalog: Catalog,
    policies: Mapping[PolicyId, PolicySummary],
    source: SettingSource | None,
) -> EffectiveSetting:
    definition = catalog.definitions.get(status.setting)

    def summaries(ids: Iterable[PolicyId]) -> tuple[PolicySummary, ...]:
        return tuple(policies.get(each, PolicySummary(id=each, name=each, revision=0)) for each in ids)

    return EffectiveSetting(
        setting=status.setting,
        name=status.setting if definition is None else definition.display_name,
        state=status.state,
        value=status.value,
        provider=status.provider,
        written=status.written,
        read_back=status.read_back,
        effective=status.effective,
        code=status.code,
        reason=status.reason,
        rule=status.rule,
        policies=summaries(status.policies),
        losers=summaries(status.losers),
        items=status.items,
        source=None if source is None else source.source,
        local=None if source is None else source.local,
    )


def _summaries(stored: Stored | None) -> tuple[PolicySummary, ...]:
    documents = () if stored is None else stored[1]
    return tuple(
        PolicySummary(id=document.policy_id, name=document.name, revision=document.revision) for document in documents
    )


class Change(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A setting whose value in effect is another one now."""

    setting: SettingId
    provider: str
    before: Any
    now: Any


def changes(before: StatusReport | None, after: StatusReport | None) -> tuple[Change, ...]:
    """List what a check-in changed, by what was read back."""
    old, new = _read_back(before), _read_back(after)
    return tuple(
        Change(
            setting=setting, provider=provider, before=old.get((setting, provider)), now=new.get((setting, provider))
        )
        for setting, provider in sorted(old.keys() | new.keys())
        if old.get((setting, provider)) != new.get((setting, provider))
    )


def _read_back(report: StatusReport | None) -> dict[tuple[SettingId, str], Any]:
    """Find the values in effect; several providers may speak about one setting."""
    statuses = () if report is None else report.settings
    return {(status.setting, status.provider or ""): status.read_back for status in statuses}


def age_text(moment: str | None, now: datetime) -> str:
    """Say how long ago something was, in one unit."""
    if moment is None:
        return "never"
    seconds = max((now - moments.parse(moment)).total_seconds(), 0)
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count != 1 else ''} ago"
    return "just now"
