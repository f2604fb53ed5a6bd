"""What to do about a setting that is not as it should be: by its state and the device's code for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shieldwall.contract.status import SettingState
from shieldwall.policy.resolve import Rule
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.views import EffectiveRow
from shieldwall.server.portal.words import CONFLICTS


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to do next. ``command`` is for the device, ``policies`` says whether a policy has to change."""

    text: str
    command: str = ""
    policies: bool = False


_DOCTOR: Final = "shieldwall-agent doctor"
_ENGINE: Final = Remedy(
    marked(
        "The product that carries this setting out does not work there. Start or repair it; the agent tries again by "
        "itself. The doctor says what is wrong with it."
    ),
    _DOCTOR,
)
_MISSING: Final = Remedy(
    marked("The product that carries this setting out is not installed there. Install it, or take the policy away."),
    _DOCTOR,
)
_VALUE: Final = Remedy(
    marked("The product does not take this value. Change it in the policy to one that the reason allows."),
    policies=True,
)
_RESTART: Final = Remedy(marked("It holds once the product, or the device, has been started anew."))
_CODES: Final[Mapping[str, Remedy]] = {
    **dict.fromkeys(
        (
            "engineNotAnswering",
            "engineNotRunning",
            "engineBlind",
            "engineUnavailable",
            "notRunning",
            "rulesNotCompiled",
            "unreadableHealth",
        ),
        _ENGINE,
    ),
    "programMissing": _MISSING,
    **dict.fromkeys(("invalidValue", "invalidExclusion", "notExpressible", "pattern"), _VALUE),
    "untilRestart": _RESTART,
    "agentTooOld": Remedy(marked("The agent there is too old for this setting. Update the agent.")),
    "otherPlatform": Remedy(
        marked("The setting is for another platform. Assign the policy to groups of devices that have it."),
        policies=True,
    ),
    "contested": Remedy(
        marked(
            "Something on the device sets this again and again. Find out what it is, another manager or a script, and "
            "leave the setting to one of them."
        ),
        _DOCTOR,
    ),
    "repaired": Remedy(
        marked(
            "Somebody or something had changed it, and the agent put it back. If it happens again, find out who does."
        )
    ),
}
_ERROR: Final = Remedy(
    marked("Read the reason, mend it on the device, and let it sync. The doctor looks at the whole way."), _DOCTOR
)
_CONFLICT: Final = Remedy(
    marked(
        "Until the policies agree, the setting stays as it was before management. Give it one value: change one of the "
        "policies, unassign it here, or give one the better priority."
    ),
    policies=True,
)
_PENDING: Final = Remedy(marked("The device reports with its next check-in. Policy sync asks it to come now."))
_STATES: Final = {SettingState.CONFLICT: _CONFLICT, SettingState.PENDING: _PENDING}
_UNKNOWN: Final = Remedy(marked("It was written and read back. Whether it is in effect cannot be seen from outside."))
_INEFFECTIVE: Final = Remedy(
    marked("It was written, and the product behaves otherwise. The doctor shows what the product says."), _DOCTOR
)


def remedy_of(row: EffectiveRow, *, code: str) -> Remedy | None:
    """Say what to do about a setting, or nothing where all is well; ``code`` is what the device calls its state."""
    if row.state is SettingState.NOT_APPLICABLE and row.rule == CONFLICTS[Rule.INAPPLICABLE]:
        return _CODES.get(code, _CODES["otherPlatform"])
    if row.is_conflict:
        return _CONFLICT
    if row.state in _STATES:
        return _STATES[row.state]
    if row.state is SettingState.ERROR or code in _CODES:
        return _CODES.get(code, _ERROR)
    if row.proof is not None and row.state is SettingState.SUCCEEDED:
        return _of_proof(row.proof.effective)
    return None


def _of_proof(effective: str) -> Remedy | None:
    return {"no": _INEFFECTIVE, "": _UNKNOWN}.get(effective)
