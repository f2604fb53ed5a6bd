"""Settings as fields of a form: which there are, what stands in them, and how a browser sends that. Pure.

Inside one scope (the top of a policy, or one item of a list) every setting stands at most once, so fields are called by
the ids of their settings, whatever they are nested in. Lists of many items are no fields: each item is a scope of its
own, with a form of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from shieldwall.catalog.model import Catalog, Kind, PolicyTemplate, SettingDefinition, Syntax
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import (
    ChoiceCollectionSetting,
    ChoiceSetting,
    GroupCollectionSetting,
    GroupSetting,
    GroupValue,
    SettingInstance,
    SimpleCollectionSetting,
    SimpleSetting,
)
from shieldwall.server.directory.names import visible

Settings: TypeAlias = tuple[SettingInstance, ...]
Sent: TypeAlias = Mapping[str, Sequence[str]]
"""What a form says: the values of each name, in their order."""

TICKED: Final = "on"
_SET: Final = "~set"
_CLEAR: Final = "~clear"


class Control(StrEnum):
    """How a setting is entered."""

    CHOICE = "choice"
    BOXES = "boxes"
    NUMBER = "number"
    TEXT = "text"
    SECRET = "secret"  # noqa: S105 - the name of a control, not a secret
    LINES = "lines"
    REFERENCES = "references"
    GROUP = "group"
    """Members beside each other, with no value of their own: a group, or a list of at most one item."""
    ITEMS = "items"
    """Items that are each entered on a form of their own."""
    MISFIT = "misfit"
    """A value of another shape than its definition's; it can only be taken away."""


_CONTROLS: Final[Mapping[Kind, tuple[Control, type[SettingInstance]]]] = {
    Kind.CHOICE: (Control.CHOICE, ChoiceSetting),
    Kind.CHOICE_COLLECTION: (Control.BOXES, ChoiceCollectionSetting),
    Kind.SIMPLE_STRING: (Control.TEXT, SimpleSetting),
    Kind.SIMPLE_INTEGER: (Control.NUMBER, SimpleSetting),
    Kind.SIMPLE_SECRET: (Control.SECRET, SimpleSetting),
    Kind.SIMPLE_STRING_COLLECTION: (Control.LINES, SimpleCollectionSetting),
    Kind.GROUP: (Control.GROUP, GroupSetting),
    Kind.GROUP_COLLECTION: (Control.ITEMS, GroupCollectionSetting),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One setting of a form. ``texts`` are the values of its control, ``children`` what its value brings along.

    ``is_kept_empty`` says of a list, a group or a text that it is set and holds nothing.
    """

    definition: SettingDefinition
    control: Control
    instance: SettingInstance | None
    texts: tuple[str, ...]
    is_kept_empty: bool
    is_required: bool
    children: tuple[Field, ...] = ()

    @property
    def name(self) -> str:
        """What its control is called."""
        return self.definition.id

    @property
    def set_name(self) -> str:
        """What the box is called that keeps it set while it is empty."""
        return set_name(self.definition.id)

    @property
    def clear_name(self) -> str:
        """What the box is called that takes it away."""
        return clear_name(self.definition.id)

    @property
    def id(self) -> str:
        """A short id for the elements of a page; the same for as long as the setting is called so."""
        return f"s{hashlib.blake2s(self.definition.id.encode(), digest_size=5).hexdigest()}"

    @property
    def is_set(self) -> bool:
        """Whether the policy says anything about it."""
        return self.instance is not None

    @property
    def items(self) -> tuple[GroupValue, ...]:
        """The items of a list that is entered item by item."""
        return self.instance.values if isinstance(self.instance, GroupCollectionSetting) else ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The values of a list that is entered line by line."""
        return tuple(self.texts[0].split("\n")) if self.texts else ()


def set_name(setting: SettingId) -> str:
    """Name the box that keeps a list, a group or a text set while it is empty."""
    return setting + _SET


def clear_name(setting: SettingId) -> str:
    """Name the box that takes a setting away."""
    return setting + _CLEAR


def fields_of_policy(catalog: Catalog, template: PolicyTemplate, settings: Settings) -> tuple[Field, ...]:
    """Return the fields of a policy of this template."""
    required = {offered.definition for offered in template.settings if offered.required}
    return fields_of(catalog, offered_by(template), settings, required)


def offered_by(template: PolicyTemplate) -> tuple[SettingId, ...]:
    """Return the settings that may stand at the top of a policy of a template, in its order."""
    return tuple(offered.definition for offered in template.settings)


def fields_of(
    catalog: Catalog, offered: Iterable[SettingId], settings: Settings, required: Collection[SettingId] = ()
) -> tuple[Field, ...]:
    """Return a field for every setting that is offered, set or not. Raises: UnknownSettingError."""
    placed = {instance.definition: instance for instance in settings}
    return tuple(
        _field(catalog, catalog.definition(setting), placed.get(setting), setting in required) for setting in offered
    )


def strangers(offered: Collection[SettingId], settings: Settings) -> Settings:
    """Return the settings that are not offered where they stand: no field shows them."""
    return tuple(instance for instance in settings if instance.definition not in offered)


def said(fields: Iterable[Field]) -> dict[str, tuple[str, ...]]:
    """Return what a browser sends for these fields while nobody changes anything."""
    sent: dict[str, tuple[str, ...]] = {}
    for field in fields:
        sent |= said_alone(field) | said(field.children)
    return sent


def said_alone(field: Field) -> dict[str, tuple[str, ...]]:
    """Return what a browser sends for a field itself, without what is inside it."""
    if field.control is Control.MISFIT:
        return {}
    # Pages show characters that steer a display instead of obeying them, and that is what comes back.
    texts = field.texts if field.control is Control.LINES else tuple(map(visible, field.texts))
    # A box that is not ticked is not sent; an empty value before all boxes tells that they were shown.
    marked = field.control in {Control.BOXES, Control.REFERENCES, Control.GROUP, Control.ITEMS}
    sent = {field.name: ("", *texts) if marked else texts or ("",)}
    return sent | {field.set_name: (TICKED,)} if field.is_kept_empty else sent


def control_of(definition: SettingDefinition, instance: SettingInstance | None) -> Control:
    """Say how a setting is entered that has this value, or none."""
    control, shape = _CONTROLS[definition.kind]
    if instance is not None and not isinstance(instance, shape):
        return Control.MISFIT
    if control is Control.LINES and definition.limits.syntax is Syntax.REUSABLE_SETTING:
        return Control.REFERENCES
    if control is Control.ITEMS and definition.maximum_count == 1:
        many = isinstance(instance, GroupCollectionSetting) and len(instance.values) > 1
        return Control.ITEMS if many else Control.GROUP
    return control


def members_of(definition: SettingDefinition, instance: SettingInstance | None) -> tuple[Sequence[SettingId], Settings]:
    """Return the settings that may stand inside a setting with this value, and those that do."""
    match instance:
        case ChoiceSetting(value=choice):
            option = definition.option(choice.value)
            return (() if option is None else option.children), choice.children
        case GroupSetting(value=group):
            return definition.children, group.children
        case GroupCollectionSetting(values=groups):
            return definition.children, groups[0].children if len(groups) == 1 else ()
        case None if definition.kind in {Kind.GROUP, Kind.GROUP_COLLECTION}:
            return definition.children, ()
        case _:
            return (), ()


def texts_of(instance: SettingInstance | None) -> tuple[str, ...]:
    """Return the values of the control of a setting; nothing of a secret."""
    match instance:
        case ChoiceSetting(value=choice):
            return (choice.value,)
        case ChoiceCollectionSetting(values=choices):
            return tuple(choice.value for choice in choices)
        case SimpleSetting(value=simple):
            return () if simple.kind == "secret" else (str(simple.value),)
        case SimpleCollectionSetting(values=simples):
            return tuple(str(simple.value) for simple in simples)
        case _:
            return ()


def _field(
    catalog: Catalog, definition: SettingDefinition, instance: SettingInstance | None, is_required: bool
) -> Field:
    control = control_of(definition, instance)
    texts = () if control is Control.SECRET else texts_of(instance)
    offered, inside = members_of(definition, instance) if control in {Control.CHOICE, Control.GROUP} else ((), ())
    option = definition.option(texts[0]) if control is Control.CHOICE and texts else None
    needed = definition.required_children if option is None else option.required_children
    return Field(
        definition=definition,
        control=control,
        instance=instance,
        texts=("\n".join(map(visible, texts)),) if control is Control.LINES else texts,
        is_kept_empty=_is_kept_empty(control, instance, texts, inside),
        is_required=is_required,
        children=fields_of(catalog, offered, inside, needed if instance is not None else ()),
    )


def _is_kept_empty(
    control: Control, instance: SettingInstance | None, texts: tuple[str, ...], inside: Settings
) -> bool:
    match control, instance:
        case _, None:
            return False
        case ((Control.BOXES | Control.REFERENCES | Control.LINES), _):
            return not texts
        case Control.TEXT, _:
            return texts == ("",)
        case Control.GROUP, _:
            return not inside
        case Control.ITEMS, GroupCollectionSetting(values=values):
            return not values
        case _:
            return False
