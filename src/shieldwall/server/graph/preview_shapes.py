"""What a change would do, as a resource."""

from __future__ import annotations

from shieldwall.catalog.model import Catalog
from shieldwall.server.graph.resources import Json
from shieldwall.server.manager.effects import ChangeInWords, ClashInWords, LapseInWords, Where, effect_of
from shieldwall.server.manager.preview import Preview


def preview_resource(catalog: Catalog, preview: Preview) -> Json:
    """Shape a preview. Devices are counted, and a few of them named."""
    effect = effect_of(catalog, preview)
    return {
        "devices": effect.devices,
        "devicesTargeted": effect.targeted,
        "devicesChanged": effect.changed,
        "changes": [_change(change) for change in effect.changes],
        "protectionLowered": [_change(change) for change in effect.lowered],
        "connectivityRisk": [_change(change) for change in effect.risky],
        "conflictsMade": [_clash(clash) for clash in effect.conflicts_made],
        "conflictsSolved": [_clash(clash) for clash in effect.conflicts_solved],
        "notApplicable": [_lapse(lapse) for lapse in effect.lapses],
        "restart": [_where(where) for where in effect.restart],
        "irreversible": [_where(where) for where in effect.irreversible],
    }


def _where(where: Where) -> Json:
    return {
        "settingDefinitionId": where.setting,
        "displayName": where.name,
        "devices": where.devices,
        "examples": [name for _, name in where.examples],
    }


def _change(change: ChangeInWords) -> Json:
    return _where(change) | {
        "subject": change.subject,
        "before": change.before,
        "after": change.after,
        "class": change.change_class,
    }


def _clash(clash: ClashInWords) -> Json:
    return _where(clash) | {"policies": [{"id": policy, "name": name} for policy, name in clash.policies]}


def _lapse(lapse: LapseInWords) -> Json:
    return _where(lapse) | {"reason": lapse.reason}
