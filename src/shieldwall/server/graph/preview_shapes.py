"""What a change would do, as a resource: in words, the grave parts first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from shieldwall.catalog.model import Catalog, Merge
from shieldwall.contract.ids import SettingId
from shieldwall.policy.classify import ChangeClass
from shieldwall.policy.compare import Change, Clash, Lapse
from shieldwall.policy.device_sets import DeviceSet, count
from shieldwall.policy.partition import LISTED, UNSET, Outcome, OutcomeKind
from shieldwall.policy.words import in_words, name_of
from shieldwall.server.graph.resources import Json
from shieldwall.server.manager.preview import Preview

_GRAVEST_FIRST: Final = (
    ChangeClass.WEAKEN,
    ChangeClass.CONNECTIVITY_RISK,
    ChangeClass.STRENGTHEN,
    ChangeClass.NEUTRAL,
)


def preview_resource(catalog: Catalog, preview: Preview) -> Json:
    """Shape a preview. Devices are counted, and a few of them named."""
    comparison = preview.comparison
    changes = [_change(catalog, preview, change) for change in sorted(_telling(comparison.changes), key=_order)]
    return {
        "devices": len(preview.ids),
        "devicesTargeted": count(comparison.targeted),
        "devicesChanged": count(comparison.changed),
        "changes": changes,
        "protectionLowered": _of_class(changes, ChangeClass.WEAKEN),
        "connectivityRisk": _of_class(changes, ChangeClass.CONNECTIVITY_RISK),
        "conflictsMade": [_clash(catalog, preview, clash) for clash in comparison.conflicts_made],
        "conflictsSolved": [_clash(catalog, preview, clash) for clash in comparison.conflicts_solved],
        "notApplicable": [_lapse(catalog, preview, lapse) for lapse in comparison.lapses],
        "restart": _where(catalog, preview, preview.restart),
        "irreversible": _where(catalog, preview, preview.irreversible),
    }


def _where(catalog: Catalog, preview: Preview, settings: Mapping[SettingId, DeviceSet]) -> list[Json]:
    return [
        {
            "settingDefinitionId": setting,
            "displayName": name_of(catalog, setting),
            "devices": count(devices),
            "examples": list(preview.examples(devices)),
        }
        for setting, devices in settings.items()
    ]


def _telling(changes: Sequence[Change]) -> Iterator[Change]:
    """Leave out that a list comes under management, or out of it, where its items are told."""
    itemised = {change.setting for change in changes if change.subject is not None}
    for change in changes:
        comes_or_goes = {change.before, change.after} == {UNSET, LISTED}
        if change.subject is not None or change.setting not in itemised or not comes_or_goes:
            yield change


def _order(change: Change) -> tuple[int, int, str]:
    return _GRAVEST_FIRST.index(change.change_class), -count(change.devices), change.setting


def _of_class(changes: Sequence[Json], change_class: ChangeClass) -> list[Json]:
    return [change for change in changes if change["class"] == change_class]


def _change(catalog: Catalog, preview: Preview, change: Change) -> Json:
    return {
        "settingDefinitionId": change.setting,
        "displayName": name_of(catalog, change.setting),
        "subject": _subject(catalog, change),
        "before": _outcome(catalog, change, change.before),
        "after": _outcome(catalog, change, change.after),
        "class": change.change_class,
        "devices": count(change.devices),
        "examples": list(preview.examples(change.devices)),
    }


def _subject(catalog: Catalog, change: Change) -> str | None:
    """Say which item of a list a change is about, ``None`` where it is about the setting as a whole."""
    if change.subject is None:
        return None
    identity = catalog.definition(change.setting).identity
    named = zip(identity or (change.setting,), change.subject, strict=False)
    return ", ".join(in_words(catalog, setting, value) for setting, value in named if value is not None)


def _outcome(catalog: Catalog, change: Change, outcome: Outcome) -> str | None:
    """Say what a setting comes out as, ``None`` where no policy sets it."""
    match outcome.kind:
        case OutcomeKind.UNSET:
            return None
        case OutcomeKind.CONFLICT:
            return "conflict"
        case OutcomeKind.INAPPLICABLE:
            return "not applicable"
        case OutcomeKind.VALUE:
            is_list = change.subject is None and catalog.definition(change.setting).merge is Merge.UNION
            if outcome.value is None or (is_list and outcome == LISTED):
                return "managed"
            return in_words(catalog, change.setting, outcome.value)


def _clash(catalog: Catalog, preview: Preview, clash: Clash) -> Json:
    return {
        "settingDefinitionId": clash.setting,
        "displayName": name_of(catalog, clash.setting),
        "devices": count(clash.devices),
        "examples": list(preview.examples(clash.devices)),
        "policies": [{"id": policy, "name": preview.policy_names.get(policy, "")} for policy in clash.policies],
    }


def _lapse(catalog: Catalog, preview: Preview, lapse: Lapse) -> Json:
    return {
        "settingDefinitionId": lapse.setting,
        "displayName": name_of(catalog, lapse.setting),
        "reason": lapse.reason,
        "devices": count(lapse.devices),
        "examples": list(preview.examples(lapse.devices)),
    }
