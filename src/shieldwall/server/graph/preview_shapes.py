"""What a change would do, as a resource: in words, the grave parts first."""

from __future__ import annotations

from collections.abc import Sequence

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import DeviceId
from shieldwall.policy.classify import ChangeClass
from shieldwall.server.graph.resources import Json
from shieldwall.server.manager.effects import ChangeInWords, ClashInWords, LapseInWords, Where, effect_of
from shieldwall.server.manager.preview import Preview


def preview_resource(catalog: Catalog, preview: Preview) -> Json:
    """Shape a preview. Devices are counted, and a few of them named."""
    found = effect_of(catalog, preview)
    changes = [_change(change) for change in found.changes]
    return {
        "devices": found.devices,
        "devicesTargeted": found.targeted,
        "devicesChanged": found.changed,
        "changes": changes,
        "protectionLowered": _of_class(changes, ChangeClass.WEAKEN),
        "connectivityRisk": _of_class(changes, ChangeClass.CONNECTIVITY_RISK),
        "conflictsMade": [_clash(each) for each in found.conflicts_made],
        "conflictsSolved": [_clash(each) for each in found.conflicts_solved],
        "notApplicable": [_lapse(each) for each in found.lapses],
        "restart": [_where(each) for each in found.restart],
        "irreversible": [_where(each) for each in found.irreversible],
    }


def _of_class(changes: Sequence[Json], change_class: ChangeClass) -> list[Json]:
    return [change for change in changes if change["class"] == change_class]


def _change(change: ChangeInWords) -> Json:
    return {
        "settingDefinitionId": change.setting,
        "displayName": change.name,
        "subject": change.subject,
        "before": change.before,
        "after": change.after,
        "class": change.change_class,
        "devices": change.devices,
        "examples": _names(change.examples),
    }


def _where(where: Where) -> Json:
    return {
        "settingDefinitionId": where.setting,
        "displayName": where.name,
        "devices": where.devices,
        "examples": _names(where.examples),
    }


def _clash(clash: ClashInWords) -> Json:
    policies = [{"id": policy, "name": name} for policy, name in clash.policies]
    return _where(clash) | {"policies": policies}


def _lapse(lapse: LapseInWords) -> Json:
    return _where(lapse) | {"reason": lapse.reason}


def _names(examples: Sequence[tuple[DeviceId, str]]) -> list[str]:
    return [name for _, name in examples]
