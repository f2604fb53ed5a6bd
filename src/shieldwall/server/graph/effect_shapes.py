"""What is in effect on a device as a resource: the value, who wanted what, who won, why, and what the device says."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import PolicyId
from shieldwall.policy.outcomes import Contender, Decided
from shieldwall.policy.resolve import explain
from shieldwall.policy.words import in_words, name_of
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.manager.origins import Origin
from shieldwall.server.manager.statuses import UNSEEN, EffectiveSetting


def effective_resource(
    effective: EffectiveSetting, catalog: Catalog, origins: Mapping[PolicyId, tuple[Origin, ...]]
) -> Json:
    """Shape what is in effect for one setting on a device."""
    resolution, reported = effective.resolution, effective.reported
    decided = resolution if isinstance(resolution, Decided) else None
    winners = frozenset(decided.winners) if decided else frozenset()
    won = [contender for contender in resolution.contenders if contender.policy in winners]
    shown = in_words(catalog, effective.setting, decided.value) if decided else ""
    return {
        "settingDefinitionId": effective.setting,
        "displayName": name_of(catalog, effective.setting),
        "value": shown or None,
        "displayValue": shown,
        "state": effective.state,
        "rule": resolution.rule,
        "explanation": explain(catalog, resolution),
        "decidedDateTime": moment(max((contender.moment for contender in won), default=None)),
        "policies": [
            _policy(catalog, effective, contender, won=contender.policy in winners, origins=origins)
            for contender in resolution.contenders
        ],
        "losers": [
            {"id": _id(contender), "name": contender.policy_name}
            for contender in resolution.contenders
            if contender.policy not in winners
        ],
        "provider": reported.provider if reported else None,
        "code": reported.code if reported else None,
        "reason": reported.reason if reported else None,
        "written": reported.written if reported else False,
        "readBack": reported.read_back if reported else None,
        "effective": reported.effective if reported else None,
        "items": [msgspec.to_builtins(item) for item in reported.items] if reported else [],
    }


def _policy(
    catalog: Catalog,
    effective: EffectiveSetting,
    contender: Contender,
    *,
    won: bool,
    origins: Mapping[PolicyId, tuple[Origin, ...]],
) -> Json:
    return {
        "id": _id(contender),
        "name": contender.policy_name,
        "revision": contender.revision,
        "value": in_words(catalog, effective.setting, contender.value),
        "priority": contender.priority,
        "modifiedDateTime": moment(contender.moment),
        "broughtBy": [_origin(origin) for origin in origins.get(contender.policy, ())],
        "won": won,
    }


def _id(contender: Contender) -> PolicyId | None:
    """Name a policy, unless the caller does not see it."""
    return None if contender.policy_name == UNSEEN else contender.policy


def _origin(origin: Origin) -> Json:
    if origin.group_id is None:
        return {"allDevices": True}
    return {"groupId": origin.group_id, "displayName": origin.group_name}
