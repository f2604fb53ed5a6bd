"""What holds on one device, taken apart in the way a preview tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId
from shieldwall.policy.compare import Subject
from shieldwall.policy.deciding import subject_of
from shieldwall.policy.outcomes import Conflict, Decided, Inapplicable, Resolution
from shieldwall.policy.partition import IN_CONFLICT, LISTED, UNSET, Outcome, OutcomeKind


def outcome(resolution: Resolution | None) -> Outcome:
    match resolution:
        case None:
            return UNSET
        case Decided(value=value):
            return Outcome(OutcomeKind.VALUE, value)
        case Conflict():
            return IN_CONFLICT
        case Inapplicable(reason=reason):
            return Outcome(OutcomeKind.INAPPLICABLE, reason=reason)


Aspects: TypeAlias = "dict[tuple[SettingId, Subject | None], Outcome]"


def aspects(catalog: Catalog, settings: Mapping[SettingId, Resolution], united: Mapping[SettingId, bool]) -> Aspects:
    """Take apart what holds on one device: each setting, and each subject of a united list."""
    found: Aspects = {}
    for setting, resolution in settings.items():
        whole = outcome(resolution)
        if not united[setting] or whole.kind is not OutcomeKind.VALUE:
            found[setting, None] = whole
            continue
        found[setting, None] = LISTED
        assert isinstance(whole.value, tuple)
        for item in whole.value:
            subject = subject_of(catalog.definition(setting), item)
            found[setting, subject] = Outcome(OutcomeKind.VALUE, item)
    return found
