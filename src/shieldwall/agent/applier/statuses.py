"""What is said about every setting afterwards. Nothing succeeded that was not read back. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from shieldwall.agent.applier.admission import Admission
from shieldwall.agent.applier.attempt import Outcome
from shieldwall.agent.applier.budget import within_budget
from shieldwall.agent.applier.confirming import ROLLED_BACK, UNCONFIRMED
from shieldwall.agent.applier.contest import CONTESTED
from shieldwall.agent.applier.state import Stage
from shieldwall.agent.applier.values import shown
from shieldwall.agent.providers.base import RESTART_NEEDED, Observation
from shieldwall.agent.providers.tampering import BlockedByTamperProtectionError
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import Digest
from shieldwall.contract.status import (
    RefusedPolicy,
    SettingState,
    SettingStatus,
    StatusReport,
    gravest,
)
from shieldwall.policy.outcomes import Reason
from shieldwall.policy.resolve import Conflict, Decided, EffectivePolicy, explain

_LONGEST = 1024
_WHO = 200
REPAIRED: Final = "repaired"
"""The code of settings that somebody had changed and that were put back."""
RESTORED: Final = "restored"
"""The code of settings whose component was down and was brought back."""
_WITHHELD = {
    ROLLED_BACK: "With this setting the device did not reach its server in time, so what held before came back.",
    Stage.LAST_KNOWN_GOOD: "The device crashed again and again after this policy, so what held before came back.",
    Stage.SAFE_MODE: "The device is in safe mode after many crashes and takes only what strengthens it.",
}
_WHY_NOT = {
    Reason.OTHER_PLATFORM: "The policy is for another platform.",
    Reason.AGENT_TOO_OLD: "Agent too old: this one does not know the setting, a newer one does.",
}


def report(
    catalog: Catalog,
    policy: EffectivePolicy,
    admission: Admission,
    outcomes: Sequence[Outcome],
    *,
    refused: tuple[RefusedPolicy, ...],
    target: Digest | None,
    waiting: Collection[str] = (),
) -> StatusReport:
    """Say how every setting of every policy fares: one status per provider that has to do with it.

    ``waiting`` names the providers whose change still has to be confirmed.
    """
    statuses = [*_conflicts(catalog, policy), *_inapplicable(admission)]
    for resolution in policy.settings.values():
        if isinstance(resolution, Decided):
            own = [_status(catalog, resolution, outcome) for outcome in outcomes if _concerned(resolution, outcome)]
            statuses += [_waiting(status, waiting) for status in own] or [_nobody(catalog, resolution)]
    ordered = sorted(statuses, key=lambda status: (status.setting, status.provider or ""))
    return within_budget(StatusReport(target=target, settings=tuple(ordered), refused=refused))


def _conflicts(catalog: Catalog, policy: EffectivePolicy) -> Iterator[SettingStatus]:
    for conflict in policy.settings.values():
        if isinstance(conflict, Conflict):
            yield SettingStatus(
                setting=conflict.setting,
                state=SettingState.CONFLICT,
                code="conflict",
                reason=explain(catalog, conflict)[:_LONGEST],
                rule=conflict.rule,
                policies=tuple(sorted({contender.policy for contender in conflict.contenders})),
            )


def _inapplicable(admission: Admission) -> Iterator[SettingStatus]:
    for setting, (reason, policies) in admission.inapplicable.items():
        yield SettingStatus(
            setting=setting,
            state=SettingState.NOT_APPLICABLE,
            code=reason,
            reason=_WHY_NOT[reason],
            policies=policies,
        )


def _nobody(catalog: Catalog, decided: Decided) -> SettingStatus:
    reason = "Nothing on this device enforces this setting."
    return _turned(_begun(catalog, decided), SettingState.NOT_APPLICABLE, "noProvider", reason)


def _concerned(decided: Decided, outcome: Outcome) -> bool:
    share = outcome.share
    return any(decided.setting in settings for settings in (share.desired, share.inapplicable, share.withheld))


def _waiting(status: SettingStatus, waiting: Collection[str]) -> SettingStatus:
    """Call no success what goes back by itself unless it is confirmed."""
    if status.provider not in waiting or status.state is not SettingState.SUCCEEDED:
        return status
    return _turned(status, SettingState.PENDING, UNCONFIRMED, "In effect; it goes back unless the server is reached.")


def _status(catalog: Catalog, decided: Decided, outcome: Outcome) -> SettingStatus:
    setting, share = decided.setting, outcome.share
    read_back = shown(catalog, setting, outcome.found.get(setting))
    status = replace(_begun(catalog, decided), provider=share.provider.name, read_back=read_back)
    if setting in share.inapplicable:
        return _turned(status, SettingState.NOT_APPLICABLE, "notApplicable", share.inapplicable[setting])
    if setting in share.withheld:
        code = share.withheld[setting]
        return _turned(status, SettingState.ERROR, code, _WITHHELD[code])
    if outcome.failure is not None:
        return _turned(status, SettingState.ERROR, outcome.failure.code, outcome.failure.cause)
    assert outcome.attempt is not None
    status = _carried_out(
        replace(
            status,
            state=SettingState.SUCCEEDED,
            written=outcome.found.get(setting) is not None,
            items=outcome.attempt.rendered.rejected.get(setting, ()),
        ),
        outcome.observed.get(setting, Observation(effective=None)),
    )
    return _told(status, outcome)


def _told(status: SettingStatus, outcome: Outcome) -> SettingStatus:
    """Add what happened on the way: somebody changed the setting, or its component was down."""
    by = f" by {outcome.changed_by}"[:_WHO] if outcome.changed_by else ""
    if status.setting in outcome.contested:
        reason = f"Something{by or ' on the device'} changes this setting again and again. It is put back less often."
        return _turned(status, SettingState.ERROR, CONTESTED, reason)
    if status.state is not SettingState.SUCCEEDED or status.items:
        return status
    if status.setting in outcome.repaired:
        reason = f"Changed{by} and put back." if by else "The setting had been changed on the device and was put back."
        return _turned(status, SettingState.SUCCEEDED, REPAIRED, reason)
    if outcome.restored and not status.code:
        return _turned(status, SettingState.SUCCEEDED, RESTORED, " ".join(outcome.restored))
    return status


def _carried_out(status: SettingStatus, observation: Observation) -> SettingStatus:
    """Judge a setting that was written and read back."""
    status = replace(status, effective=observation.effective)
    if observation.effective is None or observation.code:  # why nobody can tell, or for how long, is worth as much
        status = replace(status, code=observation.code, reason=observation.reason)
    if status.items and not status.read_back:  # nothing of it could be expressed, so nothing can be in effect
        return _with_items(status)
    if observation.code == RESTART_NEEDED:
        return _turned(status, SettingState.PENDING, RESTART_NEEDED, observation.reason)
    if observation.effective is False and observation.code == BlockedByTamperProtectionError.code:
        return _turned(status, SettingState.ERROR, observation.code, observation.reason)
    if observation.effective is False:
        code = f" ({observation.code})" if observation.code else ""
        reason = observation.reason or "The component does not do what its files say."
        return _turned(status, SettingState.ERROR, "notEffective", f"{reason}{code}")
    return _with_items(status) if status.items else status


def _with_items(status: SettingStatus) -> SettingStatus:
    """Let the gravest rejected item speak for the setting; where anything was accepted, that counts as well."""
    accepted = [SettingState.SUCCEEDED] if status.read_back else []
    state = gravest([*(item.state for item in status.items), *accepted])
    worst = next((item for item in status.items if item.state is state), None)
    if worst is None:
        return status
    return _turned(status, state, worst.code or "rejectedItem", f"{worst.item}: {worst.reason or 'rejected'}")


def _turned(status: SettingStatus, state: SettingState, code: str, reason: str) -> SettingStatus:
    return replace(status, state=state, code=code, reason=reason[:_LONGEST])


def _begun(catalog: Catalog, decided: Decided) -> SettingStatus:
    return SettingStatus(
        setting=decided.setting,
        state=SettingState.PENDING,
        value=shown(catalog, decided.setting, decided.value),
        rule=decided.rule,
        policies=decided.winners,
        losers=decided.losers,
    )
