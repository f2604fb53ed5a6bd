"""Decide what holds on a device that several policies speak to. The same function runs on server and device.

Setting by setting: which policies set it, does it apply to this device, and what does ``deciding`` make of it? The
order of policies never matters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from types import MappingProxyType

from shieldwall.catalog.model import Catalog
from shieldwall.contract.conflicts import PUBLISHED, ConflictRules
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import PolicyDocument
from shieldwall.policy.applicability import Traits
from shieldwall.policy.deciding import decide
from shieldwall.policy.explain import explain
from shieldwall.policy.outcomes import (
    Conflict,
    Contender,
    Decided,
    EffectivePolicy,
    Inapplicable,
    Reason,
    Resolution,
    Rule,
)
from shieldwall.policy.prepared import PreparedPolicy, prepare

__all__ = [
    "Conflict",
    "Contender",
    "Decided",
    "EffectivePolicy",
    "Inapplicable",
    "Reason",
    "Resolution",
    "Rule",
    "decide",
    "explain",
    "resolve",
    "resolve_prepared",
]


def resolve(
    catalog: Catalog,
    documents: Iterable[PolicyDocument],
    rules: ConflictRules = PUBLISHED,
    device: Traits | None = None,
) -> EffectivePolicy:
    """Bring policies together, setting by setting. Pure; the order of ``documents`` does not matter.

    ``device`` is left out where the documents are known to apply as a whole.

    Raises:
        UnknownSettingError: A policy sets what the catalog does not know.
        MismatchedSettingError: A policy sets a value of another shape than its definition.
    """
    return resolve_prepared(catalog, [prepare(catalog, document) for document in documents], rules, device)


def resolve_prepared(
    catalog: Catalog,
    policies: Iterable[PreparedPolicy],
    rules: ConflictRules = PUBLISHED,
    device: Traits | None = None,
) -> EffectivePolicy:
    """Do what ``resolve`` does with policies that were made ready before."""
    applying: defaultdict[SettingId, list[Contender]] = defaultdict(list)
    others: defaultdict[SettingId, list[tuple[Contender, Reason]]] = defaultdict(list)
    for policy in policies:
        for setting, contender in policy.contenders.items():
            reason = None if device is None else policy.reason_against(setting, device)
            if reason is None:
                applying[setting].append(contender)
            else:
                others[setting].append((contender, reason))
    resolved: dict[SettingId, Resolution] = {}
    for setting in sorted(applying.keys() | others.keys()):
        if contenders := applying.get(setting):
            resolved[setting] = decide(catalog, catalog.definition(setting), contenders, rules)
        else:
            resolved[setting] = _inapplicable(setting, others[setting])
    return EffectivePolicy(settings=MappingProxyType(resolved))


def _inapplicable(setting: SettingId, others: list[tuple[Contender, Reason]]) -> Inapplicable:
    """Say why none applies; a newer agent would help wherever one of them is for this platform."""
    reasons = {reason for _, reason in others}
    return Inapplicable(
        setting=setting,
        contenders=tuple(sorted((contender for contender, _ in others), key=lambda contender: contender.policy)),
        reason=Reason.AGENT_TOO_OLD if Reason.AGENT_TOO_OLD in reasons else Reason.OTHER_PLATFORM,
    )
