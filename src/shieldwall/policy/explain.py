"""Say in one sentence what holds for a setting, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shieldwall.catalog.model import Catalog, Kind, SettingDefinition
from shieldwall.contract.ids import PolicyId
from shieldwall.policy.outcomes import Conflict, Decided, Inapplicable, Reason, Resolution, Rule
from shieldwall.policy.values import SettingValue

_UNDECIDED: Mapping[Rule, str] = {
    Rule.LAST_MODIFIED: ", none is known to be stronger and none was modified last",
    Rule.PRIORITY: ", and none has a better priority",
}
_INAPPLICABLE: Mapping[Reason, str] = {
    Reason.OTHER_PLATFORM: "it is for another platform",
    Reason.AGENT_TOO_OLD: "the agent on this device is older than the setting; a newer one knows it",
}


def explain(catalog: Catalog, resolution: Resolution) -> str:
    """Say in one sentence what holds and why."""
    definition = catalog.definition(resolution.setting)
    names = {contender.policy: contender.policy_name for contender in resolution.contenders}
    match resolution:
        case Decided(value=value):
            return f"{definition.display_name} is {_shown(definition, value)} because {_reason(resolution, names)}."
        case Conflict(rule=rule):
            undecided = _UNDECIDED.get(rule, "")
            wanted = f"the values of {_listed(names.values())} differ{undecided}"
            return f"{definition.display_name} is left as it was: {wanted}."
        case Inapplicable(reason=reason):
            wanted = f"{_listed(names.values())} set it, but {_INAPPLICABLE[reason]}"
            return f"{definition.display_name} does not apply here: {wanted}."


def _reason(decided: Decided, names: Mapping[PolicyId, str]) -> str:  # noqa: PLR0911 - one line for each rule
    everybody = _listed(names.values())
    won = _listed(names[policy] for policy in decided.winners)
    lost = _listed(names[policy] for policy in decided.losers)
    match decided.rule:
        case Rule.ONLY:
            return f"only {everybody} sets it"
        case Rule.EQUAL:
            return f"{everybody} agree"
        case Rule.UNION:
            return f"the items of {everybody} count together" + (
                f"; stronger ones replace some of {lost}" if lost else ""
            )
        case Rule.MOST_SECURE:
            return f"the value of {won} is the strongest in our order, stronger than that of {lost}"
        case Rule.LAST_MODIFIED:
            known = {contender.policy: contender.moment for contender in decided.contenders}
            newest = max(known[policy] for policy in decided.winners)
            if any(known[policy] > newest for policy in decided.losers):
                return (
                    f"of the values that share the first place in our order, that of {won} is the newest; {lost} lost"
                )
            return f"{won} was modified last; {lost} lost"
        case Rule.PRIORITY:
            return f"{won} has the best priority; {lost} lost"
        case Rule.DIFFERING | Rule.INAPPLICABLE:
            return f"{everybody} differ"


def _shown(definition: SettingDefinition, value: SettingValue) -> str:
    match value:
        case tuple():
            return f"a list of {len(value)}"
        case str() if option := definition.option(value):
            return option.display_name
        case _ if definition.kind is Kind.SIMPLE_SECRET:
            return "a secret"
        case _:
            return str(value)


def _listed(names: Iterable[str]) -> str:
    *most, last = sorted(names) or [""]
    return f"{', '.join(most)} and {last}" if most else last
