"""Whether what the store says is in effect, and who says otherwise where it is not. Pure but for the question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from shieldwall.agent.host.cim import Cim, CimError, CimValue, Properties
from shieldwall.agent.host.registry import RegistryValue
from shieldwall.agent.providers.base import Desired, Observation
from shieldwall.agent.providers.windows_firewall import active as windows
from shieldwall.agent.providers.windows_firewall import rules
from shieldwall.agent.providers.windows_firewall.grammar import FirewallRule
from shieldwall.agent.providers.windows_firewall.places import RULES, Place, PolicyStore, place_of, value_at
from shieldwall.agent.providers.windows_firewall.writing import Written, written
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item, SettingValue

_MOST_NAMED: Final = 5
_ANY: Final = ("", "Any", "any", None)
_NO_PROPERTY: Final = Observation(
    effective=None, code="notProbed", reason="Windows shows nowhere whether this setting is in effect."
)
_NO_NUMBERS: Final = (0, 2**32 - 1, 2**64 - 1)
"""With which a number says that it is not configured."""
_WORDS: Final = {"true": 1, "false": 0, "allow": windows.ALLOW, "block": windows.BLOCK, "notconfigured": 0}


def observations(cim: Cim, catalog: Catalog, store: PolicyStore, desired: Desired) -> Mapping[SettingId, Observation]:
    """Compare each setting with the active store. Never raises for a Windows that does not answer."""
    active = windows.Active(cim)
    wanted = written(catalog, store, desired)
    try:
        return {
            setting: _rules(value, active) if setting == RULES else _setting(setting, store, wanted, active)
            for setting, value in desired.items()
        }
    except CimError as error:
        silent = Observation(effective=False, code=error.code, reason=f"{error.cause} {error.remedy}"[:1024])
        return dict.fromkeys(desired, silent)


def _setting(setting: SettingId, store: PolicyStore, wanted: Written, active: windows.Active) -> Observation:
    found = place_of(setting)
    if found is None or not found[1].property:
        return _NO_PROPERTY
    profile, place = found
    held = wanted.store.get(value_at(store, profile, place))
    shown = active.profiles.get(profile, {}) if profile else active.settings
    if held is None or place.property not in shown:
        return _NO_PROPERTY
    expected = _expected(place, held)
    if _same(shown[place.property], expected):
        return Observation(effective=True)
    said = active.group_policy.get(profile, {}).get(place.property)
    if _is_configured(place, said) and not _same(said, expected):
        reason = f"Group Policy says otherwise about {place.property} of the {profile} profile, and Windows follows it."
        return Observation(effective=False, code="groupPolicy", reason=reason)
    reason = f"Windows shows {_word(shown[place.property])} for {place.property}; the firewall did not take the policy."
    return Observation(effective=False, code="notTaken", reason=reason)


def _expected(place: Place, held: RegistryValue) -> CimValue:
    number = held.data if isinstance(held.data, int) else 0
    match place.answer:
        case "same":
            return windows.YES if number else windows.NO
        case "opposite":
            return windows.NO if number else windows.YES
        case "action":
            return windows.BLOCK if number else windows.ALLOW
        case _:
            return held.data if isinstance(held.data, int | str) else None


def _same(shown: CimValue, expected: CimValue) -> bool:
    if isinstance(shown, str) and isinstance(expected, str):
        return shown.casefold() == expected.casefold()
    return _as_number(shown) == expected


def _as_number(shown: CimValue) -> CimValue:
    """Read a number; through PowerShell some come as their words, and booleans as themselves."""
    if isinstance(shown, str):
        return int(shown) if shown.isascii() and shown.isdigit() and len(shown) <= 20 else _WORDS.get(shown.lower(), -1)
    return int(shown) if isinstance(shown, bool) else shown


def _is_configured(place: Place, said: CimValue) -> bool:
    if said is None or said == "" or (isinstance(said, str) and said.lower() == "notconfigured"):
        return False
    number = _as_number(said)
    if place.answer in {"same", "opposite"}:
        return number in {windows.NO, windows.YES}
    return number in {windows.ALLOW, windows.BLOCK} if place.answer == "action" else number not in _NO_NUMBERS


def _rules(value: SettingValue, active: windows.Active) -> Observation:
    items = [item for item in (value if isinstance(value, tuple) else ()) if isinstance(item, Item)]
    usable = [(item, rule) for item in items if (rule := _usable(item)) is not None and rule.active]
    missing = [rules.name_of(item) for item, _ in usable if rules.id_of(item).lower() not in active.rules]
    if missing:
        reason = f"Windows has not taken {_some(missing)}."
        return Observation(effective=False, code="notTaken", reason=reason)
    broken = [
        f"{rules.name_of(item)} ({row.get('Status') or row.get('PrimaryStatus')})"
        for item, _ in usable
        if (row := active.rules[rules.id_of(item).lower()]).get("PrimaryStatus", windows.STATUS_OK)
        not in {windows.STATUS_OK, "OK"}
    ]
    if broken:
        return Observation(effective=False, code="ruleInError", reason=f"Windows does not enforce {_some(broken)}.")
    beaten = list(_beaten(usable, active))
    if beaten:
        reason = f"Rules of others block what these allow, and block beats allow: {_some(beaten)}."
        return Observation(effective=False, code="blockedByOthers", reason=reason)
    return Observation(effective=True)


def _beaten(usable: list[tuple[Item, FirewallRule]], active: windows.Active) -> Iterator[str]:
    """Yield our rules that allow what a rule of somebody else blocks: one that leaves nothing out, or just the same."""
    foreign = [
        (name, row)
        for name, row in active.rules.items()
        if not rules.is_ours(name)
        and _as_number(row.get("Action")) == windows.BLOCK
        and _as_number(row.get("Enabled")) == windows.ENABLED
    ]
    for item, rule in usable if foreign else ():
        own = rules.id_of(item).lower()
        for name, row in foreign if not rule.blocks else ():
            covers = _covers(row, active.rules[own], active.filters.get(name), active.filters.get(own, {}))
            if covers and not _is_for_some(active.rare_filters.get(name, {})):
                yield f"{rules.name_of(item)} by {_source(row)}"
                break


def _covers(
    other: Properties, own: Properties, broad: Mapping[str, CimValue] | None, narrow: Mapping[str, CimValue]
) -> bool:
    if broad is None or other.get("Direction") != own.get("Direction"):
        return False
    theirs, ours = _profiles(other), _profiles(own)
    if theirs & ours != ours:
        return False
    names = ("Protocol", "LocalPort", "RemotePort", "IcmpType", "LocalAddress", "RemoteAddress", "AppPath", "Package")
    return all(_any(broad.get(name)) or broad.get(name) == narrow.get(name) for name in (*names, "ServiceName"))


def _is_for_some(rare: Mapping[str, CimValue]) -> bool:
    """Say whether a rule is about some interfaces, users or computers alone: that it then beats ours is not certain."""
    names = ("InterfaceAlias", "LocalUsers", "RemoteUsers", "RemoteMachines")
    return rare.get("InterfaceType") not in (0, *_ANY) or not all(_any(rare.get(name)) for name in names)


def _any(condition: CimValue) -> bool:
    if isinstance(condition, list | tuple):
        return not condition or all(each in _ANY for each in condition)
    return condition in _ANY


def _profiles(row: Properties) -> int:
    number = row.get("Profiles")
    return number & 7 if isinstance(number, int) and number else 7


def _source(row: Properties) -> str:
    shown = str(row.get("DisplayName") or row.get("InstanceID") or "?")[:128]
    of_group_policy = _as_number(row.get("PolicyStoreSourceType")) == windows.SOURCE_GROUP_POLICY
    return f"{shown!r} of {'Group Policy' if of_group_policy else str(row.get('PolicyStoreSource') or 'others')[:64]}"


def _usable(item: Item) -> FirewallRule | None:
    try:
        return rules.rule_of(item)
    except rules.UnusableRuleError:
        return None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{', '.join(name[:150] for name in names[:_MOST_NAMED])}{more}"


def _word(shown: CimValue) -> str:
    return repr(shown)[:64]
