"""Settings of Defender that only exist as preferences, put into their document and taken out again. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from shieldwall.agent.host.preferences import Preference, decode, encode
from shieldwall.agent.providers.base import Kept
from shieldwall.agent.providers.windows_defender import landings
from shieldwall.agent.providers.windows_defender.policies import number_of
from shieldwall.catalog.model import Kind, SettingDefinition
from shieldwall.contract import strict_json
from shieldwall.contract.status import ItemStatus, SettingState
from shieldwall.policy.values import SettingValue


class Before(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The state before management: the values as one document, names that had none, whether there was a document."""

    values: str = "{}\n"
    absent: tuple[str, ...] = ()
    made: bool = False


def apply(content: bytes | None, values: Mapping[str, Preference]) -> tuple[bytes | None, Kept]:
    """Return the document with ``values`` in it, and what to keep for ``undo``. Raises: HostError: no document."""
    if not values:
        return content, {}
    found = {} if content is None else decode(content)
    before = {name: found[name] for name in values if name in found}
    absent = tuple(sorted(name for name in values if name not in found))
    kept: Kept = msgspec.to_builtins(Before(values=encode(before).decode(), absent=absent, made=content is None))
    return encode({**found, **{name: _typed(value, found.get(name)) for name, value in values.items()}}), kept


def undo(content: bytes | None, kept: Kept) -> bytes | None:
    """Return the document as it would be had ``apply`` never touched it. Raises: HostError: no document."""
    if not kept or content is None:
        return content
    before = strict_json.convert(dict(kept), Before)
    found = {name: value for name, value in decode(content).items() if name not in before.absent}
    found |= decode(before.values.encode())
    return None if before.made and not found else encode(found)


def value_of(
    definition: SettingDefinition, place: landings.Preference, value: SettingValue
) -> tuple[Preference | None, tuple[ItemStatus, ...]]:
    """Return what a property is set to, and choices that cannot hold beside another."""
    chosen: SettingValue = value
    rejected: tuple[ItemStatus, ...] = ()
    if isinstance(value, tuple):
        chosen = value[0] if value else ""
        others = value[1:] or (() if value else ("",))
        rejected = tuple(_refused(str(other)) for other in others)
    number = number_of(definition, chosen)
    if number is None:
        return None, rejected or (_refused(str(value)),)
    return bool(number) if place.boolean else number, rejected


def read(definition: SettingDefinition, place: landings.Preference, value: Preference | None) -> SettingValue | None:
    """Return the setting that a property's value stands for; ``None`` when it means nothing to us."""
    if isinstance(value, str | tuple) or value is None or (isinstance(value, bool) and not place.boolean):
        return None
    if definition.kind is Kind.SIMPLE_INTEGER:
        return value
    found = next((option.item_id for option in definition.options if option.value == int(value)), None)
    return (found,) if found is not None and definition.kind is Kind.CHOICE_COLLECTION else found


def _typed(value: Preference, before: Preference | None) -> Preference:
    """Return yes or no as a number where Defender keeps one, so that it reads as it was written."""
    return int(value) if isinstance(value, bool) and type(before) is int else value


def _refused(item: str) -> ItemStatus:
    reason = "The product takes one value here."
    return ItemStatus(item=item[:1024], state=SettingState.ERROR, code="notExpressible", reason=reason)
