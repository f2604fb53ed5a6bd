"""Between settings of Defender and the values of its policies in the registry. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from msgspec import Struct, field

from shieldwall.agent.host.registry import RegistryValue, ValueKind, decode
from shieldwall.agent.host.registry.document import MAXIMUM_NAME
from shieldwall.agent.host.registry.model import folded, same_name
from shieldwall.agent.providers.windows_defender.landings import (
    PER_RULE_KEY,
    PER_RULE_SWITCH,
    Landing,
    PolicyNames,
    PolicyNumber,
    PolicyText,
    RuleExclusions,
    RuleMode,
    ThreatSeverity,
)
from shieldwall.catalog.model import Kind, SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus, SettingState
from shieldwall.policy.values import SettingValue, as_set

LIST_SEPARATOR: Final = "|"
RULE_SEPARATOR: Final = ">"
_LARGEST: Final = 0xFFFF_FFFF
_ON: Final = RegistryValue.dword(1)
_LISTED: Final = RegistryValue.text("0")
"""What stands beside the name of a list's item; its content means nothing, and the documentation asks for this."""
CLOUD_PROTECTION: Final = SettingId("device_vendor_msft_policy_config_defender_allowcloudprotection")
_ADVANCED: Final = 2
"""Cloud protection knows two levels that do the same since Windows 10; the vendor asks for the higher one."""

Held: TypeAlias = Mapping[str, Mapping[str, tuple[str, RegistryValue]]]
"""A document's values by key and name as they are compared, each with the name it was made with."""


class Encoded(Struct, frozen=True, kw_only=True):
    """What stands for a setting: values, or ``None`` for those that shall not be there; and the items left out."""

    values: Mapping[tuple[str, str], RegistryValue | None] = field(default_factory=dict)
    rejected: tuple[ItemStatus, ...] = ()


def held(content: bytes | None) -> Held:
    """Read a document. Raises: HostError: it is none."""
    return {} if content is None else folded(decode(content))


def encode(  # noqa: PLR0911 - one return per landing reads as the table it is
    definition: SettingDefinition, place: Landing, value: SettingValue, present: Held
) -> Encoded:
    """Return what stands for a setting's value in a document that holds ``present`` without it."""
    match place, value:
        case PolicyNumber(), _:
            return _number(definition, place, value)
        case PolicyText(), str():
            return _text(place.key, place.name, value)
        case PolicyText(), tuple():
            accepted, rejected = accept(value, LIST_SEPARATOR, ordered=definition.ordered)
            text = RegistryValue.text(LIST_SEPARATOR.join(accepted))
            return Encoded(values={(place.key, place.name): text}, rejected=rejected)
        case PolicyNames(), tuple():
            accepted, rejected = accept(value, "", ordered=False)
            wanted = {same_name(item) for item in accepted}
            others = [name for folded_name, (name, _) in _names(present, place).items() if folded_name not in wanted]
            values: dict[tuple[str, str], RegistryValue | None] = {(place.key, name): None for name in others}
            values[place.switch] = _ON
            values |= {(place.key, item): _LISTED for item in accepted}
            return Encoded(values=values, rejected=rejected)
        case ((RuleMode() | ThreatSeverity()), str()):
            number = _option(definition, value).partition("=")[2]
            return Encoded(values={place.switch: _ON, (place.key, place.name): RegistryValue.text(number)})
        case RuleExclusions(), tuple():
            accepted, rejected = accept(value, RULE_SEPARATOR, ordered=False)
            text = RegistryValue.text(RULE_SEPARATOR.join(accepted))
            return Encoded(values={PER_RULE_SWITCH: _ON, (PER_RULE_KEY, place.guid): text}, rejected=rejected)
    return Encoded(rejected=(_refused(str(value), "notExpressible", "The value does not fit the setting."),))


def read(  # noqa: PLR0911 - as above
    definition: SettingDefinition, place: Landing, document: Held
) -> SettingValue | None:
    """Return the setting that stands in a document; ``None`` where it says nothing of it, or nothing that counts."""
    match place:
        case PolicyNumber():
            return _choice_of(definition, place, _value(document, place.key, place.name))
        case PolicyText():
            text = _value(document, place.key, place.name)
            if text is None or not isinstance(text.data, str):
                return None
            return text.data if definition.kind is Kind.SIMPLE_STRING else _parts(text.data, LIST_SEPARATOR)
        case PolicyNames():
            if not _is_on(document, place.switch):
                return None
            return as_set(name for name, _ in _names(document, place).values())
        case RuleMode() | ThreatSeverity():
            if not _is_on(document, place.switch):
                return None
            return _mode_of(definition, _value(document, place.key, place.name))
        case RuleExclusions():
            text = _value(document, PER_RULE_KEY, place.guid) if _is_on(document, PER_RULE_SWITCH) else None
            return as_set(_parts(text.data, RULE_SEPARATOR)) if text and isinstance(text.data, str) else None
    return None


def accept(
    items: Sequence[SettingValue], separator: str, *, ordered: bool
) -> tuple[tuple[str, ...], tuple[ItemStatus, ...]]:
    """Part the items of a list into those that can stand in it, and the others with why not."""
    accepted: dict[str, str] = {}
    kept: list[str] = []
    rejected: list[ItemStatus] = []
    for item in items:
        text = str(item)
        key = text if separator else same_name(text)
        if not text or "\0" in text or (separator and separator in text) or len(text) > MAXIMUM_NAME:
            rejected.append(_refused(text, "notExpressible", "Windows cannot hold this text in a list."))
        elif not ordered and key in accepted:
            reason = f"Windows does not tell upper and lower case apart: {accepted[key]!r} says the same."
            rejected.append(
                ItemStatus(item=text[:1024], state=SettingState.SUCCEEDED, code="sameAsAnother", reason=reason[:1024])
            )
        else:
            accepted[key] = text
            kept.append(text)
    return tuple(kept), tuple(rejected)


def number_of(definition: SettingDefinition, value: SettingValue) -> int | None:
    """Return the number that the product is told of a choice or a number, as the catalog has it."""
    if definition.options and isinstance(value, str):
        option = definition.option(value)
        number = None if option is None else option.value
        if isinstance(number, str):
            number = number.partition("=")[2]
            return int(number) if number.isdigit() else None
        return number
    return value if isinstance(value, int) else None


def _number(definition: SettingDefinition, place: PolicyNumber, value: SettingValue) -> Encoded:
    number = number_of(definition, value)
    if number is None or not 0 <= number <= _LARGEST:
        return Encoded(rejected=(_refused(str(value), "notExpressible", "The value does not fit the setting."),))
    if place.inverted:
        number = 1 - number
    if definition.id == CLOUD_PROTECTION and number:
        number = _ADVANCED
    return Encoded(values={(place.key, place.name): RegistryValue.dword(number)})


def _choice_of(definition: SettingDefinition, place: PolicyNumber, value: RegistryValue | None) -> SettingValue | None:
    if value is None or value.kind is not ValueKind.DWORD or not isinstance(value.data, int):
        return None
    number = 1 - value.data if place.inverted else value.data
    if definition.id == CLOUD_PROTECTION and number == _ADVANCED:
        number = 1
    if definition.kind is Kind.SIMPLE_INTEGER:
        return number
    return next((option.item_id for option in definition.options if option.value == number), None)


def _mode_of(definition: SettingDefinition, value: RegistryValue | None) -> str | None:
    if value is None or isinstance(value.data, bytes | tuple):
        return None
    wanted = str(value.data).strip()
    return next((each.item_id for each in definition.options if str(each.value).partition("=")[2] == wanted), None)


def _text(key: str, name: str, text: str) -> Encoded:
    if "\0" in text:
        return Encoded(rejected=(_refused(text, "notExpressible", "Windows cannot hold this text."),))
    return Encoded(values={(key, name): RegistryValue.text(text)})


def _refused(item: str, code: str, reason: str) -> ItemStatus:
    return ItemStatus(item=item[:1024], state=SettingState.ERROR, code=code, reason=reason)


def _option(definition: SettingDefinition, value: str) -> str:
    option = definition.option(value)
    return "" if option is None else str(option.value)


def _parts(text: str, separator: str) -> tuple[str, ...]:
    return tuple(_filled(text, separator))


def _filled(text: str, separator: str) -> Iterator[str]:
    yield from (part for part in text.split(separator) if part)


def _value(document: Held, key: str, name: str) -> RegistryValue | None:
    found = document.get(same_name(key), {}).get(same_name(name))
    return None if found is None else found[1]


def _names(document: Held, place: PolicyNames) -> Mapping[str, tuple[str, RegistryValue]]:
    return document.get(same_name(place.key), {})


def _is_on(document: Held, switch: tuple[str, str]) -> bool:
    value = _value(document, *switch)
    return value is not None and value.data not in {0, "0", ""}
