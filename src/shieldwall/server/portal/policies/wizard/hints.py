"""What helps to choose a value: what is strongest, what is the default, what the product does by itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from shieldwall.catalog.model import Catalog, Direction, Requirement, SettingDefinition, Zero
from shieldwall.catalog.vocabulary import Lists, Merge, Tamper
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import GroupValue, SettingInstance
from shieldwall.policy.flatten import put
from shieldwall.policy.values import SettingValue
from shieldwall.policy.words import category_of, lines_of, name_of
from shieldwall.server.portal.policies.wizard.form_fields import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What is known of the values of a setting. Option ids are empty where no order or default is known."""

    strongest: frozenset[str]
    weakest: str
    numbers: Direction | None
    zero: Zero | None
    lists: Lists | None
    is_risky: bool
    """By it a device can lose its network."""
    default: str
    product_default: str
    product_place: str
    merge: Merge
    is_tamper_protected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One setting of a draft in words, a line per item."""

    setting: SettingId
    name: str
    category: str
    lines: tuple[str, ...]


def hints_of(definition: SettingDefinition) -> Hints:
    """Return what is known of the values of a setting."""
    strength = definition.strength
    ordered = strength is not None and len(strength.options) > 1 and not strength.neutral
    options = strength.options if strength is not None and ordered else ()
    tied = strength.tied if strength is not None else ()
    best = options[0] if options else ""
    return Hints(
        strongest=frozenset({best, *tied} if best in tied else {best}) - {""},
        weakest=options[-1] if options and options[-1] not in tied else "",
        numbers=strength.numbers if strength is not None else None,
        zero=strength.zero if strength is not None else None,
        lists=strength.lists if strength is not None else None,
        is_risky=strength is not None and strength.connectivity,
        default=_in_words(definition, definition.default),
        product_default=_by_itself(definition),
        product_place=_place(definition),
        merge=definition.merge,
        is_tamper_protected=definition.tamper_protected is not Tamper.NO,
    )


def option_names(catalog: Catalog, requirement: Requirement) -> str:
    """Name the options of which one has to be chosen beside a setting."""
    definition = catalog.definition(requirement.setting)
    return ", ".join(_in_words(definition, option) for option in requirement.options)


def told_settings(catalog: Catalog, settings: Settings) -> tuple[Told, ...]:
    """Say settings in words, as far as they can be read: what is not right yet is said to be so by its field."""
    values: dict[SettingId, SettingValue] = {}
    for instance in settings:
        values |= _values(catalog, instance)
    return tuple(
        Told(
            setting=setting,
            name=name_of(catalog, setting),
            category=category_of(catalog, setting),
            lines=lines_of(catalog, setting, value),
        )
        for setting, value in values.items()
    )


def told_item(catalog: Catalog, group: GroupValue) -> str:
    """Say one item of a list on one line; empty where there is nothing to be read in it."""
    parts = [(each.name, line) for each in told_settings(catalog, group.children) for line in each.lines if line]
    return "; ".join(f"{name}: {line}" for name, line in parts)


def _values(catalog: Catalog, instance: SettingInstance) -> dict[SettingId, SettingValue]:
    found: dict[SettingId, SettingValue] = {}
    try:
        put(catalog, (instance,), found)
    except ShieldwallError:
        return {}
    return found


def _in_words(definition: SettingDefinition, value: str | int | None) -> str:
    if value is None:
        return ""
    option = definition.option(value) if isinstance(value, str) else None
    return option.display_name if option is not None else str(value)


def _by_itself(definition: SettingDefinition) -> str:
    """Say what the product does while nothing stands there."""
    default = definition.landing_default
    if default is None:
        return ""
    for option in definition.options:
        if type(option.value) is type(default) and option.value == default:
            return option.display_name
    return "" if isinstance(default, bool) else str(default)


def _place(definition: SettingDefinition) -> str:
    windows = definition.windows
    if windows is None:
        return definition.landing or (definition.base_uri or "") + (definition.offset_uri or "")
    if windows.preference is not None:
        return f"MpPreference {windows.preference}"
    if windows.registry_key is not None:
        return f"{windows.registry_key}\\{windows.registry_value}"
    return (definition.base_uri or "") + (definition.offset_uri or "")
