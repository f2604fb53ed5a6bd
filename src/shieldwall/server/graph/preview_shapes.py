"""What a change would do, as a resource: in words, the grave parts first."""

from __future__ import annotations

from collections.abc import Sequence

from shieldwall.catalog.model import Catalog
from shieldwall.policy.classify import ChangeClass
from shieldwall.server.graph.resources import Json
from shieldwall.server.manager.consequences import Affected, Difference, Example, consequences_of
from shieldwall.server.manager.preview import Preview


def preview_resource(catalog: Catalog, preview: Preview) -> Json:
    """Shape a preview. Devices are counted, and a few of them named."""
    found = consequences_of(catalog, preview)
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
        "notApplicable": [_lapse(each) for each in found.not_applicable],
        "restart": [_where(each) for each in found.restart],
        "irreversible": [_where(each) for each in found.irreversible],
    }


def _of_class(changes: Sequence[Json], change_class: ChangeClass) -> list[Json]:
    return [change for change in changes if change["class"] == change_class]


def _change(change: Difference) -> Json:
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


def _where(affected: Affected) -> Json:
    return {
        "settingDefinitionId": affected.setting,
        "displayName": affected.name,
        "devices": affected.devices,
        "examples": _names(affected.examples),
    }


def _clash(affected: Affected) -> Json:
    policies = [{"id": policy, "name": name} for policy, name in affected.policies]
    return _where(affected) | {"policies": policies}


def _lapse(affected: Affected) -> Json:
    return _where(affected) | {"reason": affected.reason}


def _names(examples: Sequence[Example]) -> list[str]:
    return [example.name for example in examples]
