"""From what a form says back to settings: whatever the form did not show, or left as it was, stays as it is. Pure.

What cannot be read (a word where a number belongs) is kept as it was written: validation says what is wrong with it,
and nobody's typing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

import msgspec

from shieldwall.catalog.model import Catalog, PolicyTemplate, SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import (
    ChoiceCollectionSetting,
    ChoiceSetting,
    ChoiceValue,
    GroupCollectionSetting,
    GroupSetting,
    GroupValue,
    SettingInstance,
    SimpleCollectionSetting,
    SimpleKind,
    SimpleSetting,
    SimpleValue,
    ValueTemplate,
)
from shieldwall.server.directory.names import visible
from shieldwall.server.portal.policies.wizard.form_fields import (
    TICKED,
    Control,
    Sent,
    Settings,
    clear_name,
    control_of,
    members_of,
    offered_by,
    set_name,
    texts_of,
)

Items: TypeAlias = Mapping[SettingId, tuple[GroupValue, ...]]
"""The items that lists shall have from now on."""
_Value = TypeVar("_Value", ChoiceValue, SimpleValue)

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,15}")
_ENDS: Final = re.compile(r"\r\n|\r|\n")


def read_policy(
    catalog: Catalog, template: PolicyTemplate, base: Settings, sent: Sent, items: Items | None = None
) -> Settings:
    """Read the settings of a policy. What is new refers to the template's own templates, as exports of it do."""
    read = read_settings(catalog, offered_by(template), base, sent, items)
    known = {instance.definition for instance in base}
    return tuple(each if each.definition in known else _referring(template, each) for each in read)


def read_settings(
    catalog: Catalog, offered: Sequence[SettingId], base: Settings, sent: Sent, items: Items | None = None
) -> Settings:
    """Read the settings of one scope: first what stood there, in its order, then what is new, as it is offered.

    Raises:
        UnknownSettingError: Something is offered that the catalog does not know.
    """
    return _Reading(catalog, sent, items or {}).siblings(offered, base)


@dataclass(frozen=True, slots=True)
class _Reading:
    """One form, read against what stood there when it was shown."""

    catalog: Catalog
    sent: Sent
    items: Items

    def siblings(self, offered: Sequence[SettingId], base: Settings) -> Settings:
        """Read settings that stand together."""
        placed = {instance.definition for instance in base}
        stood = (self._stood(offered, instance) for instance in base)
        added = (self._one(self.catalog.definition(setting), None) for setting in offered if setting not in placed)
        return tuple(instance for instance in (*stood, *added) if instance is not None)

    def _stood(self, offered: Sequence[SettingId], instance: SettingInstance) -> SettingInstance | None:
        if instance.definition in offered:
            return self._one(self.catalog.definition(instance.definition), instance)
        return None if self._is_ticked(clear_name(instance.definition)) else instance

    def _one(self, definition: SettingDefinition, base: SettingInstance | None) -> SettingInstance | None:
        if self._is_ticked(clear_name(definition.id)) and not self._last(definition.id):
            return None
        match control_of(definition, base):
            case Control.MISFIT:
                return base
            case Control.CHOICE:
                return self._choice(definition, base)
            case Control.GROUP:
                return self._group(definition, base)
            case Control.ITEMS:
                return self._items(definition, base)
            case control:
                return self._alone(definition, base, control) if definition.id in self.sent else base

    def _alone(
        self, definition: SettingDefinition, base: SettingInstance | None, control: Control
    ) -> SettingInstance | None:
        """Read a setting that was shown and has nothing inside it."""
        match control:
            case Control.BOXES:
                return self._boxes(definition, base)
            case Control.LINES | Control.REFERENCES:
                return self._list(definition, base, control)
            case Control.SECRET:
                return self._secret(definition, base)
            case _:
                return self._simple(definition, base, control)

    def _choice(self, definition: SettingDefinition, base: SettingInstance | None) -> SettingInstance | None:
        value = self._last(definition.id) if definition.id in self.sent else _only(texts_of(base))
        if not value:
            return None
        stood = base if isinstance(base, ChoiceSetting) else None
        if stood is not None and value == visible(stood.value.value):
            value = stood.value.value
        option = definition.option(value)
        former = () if stood is None else stood.value.children
        if option is None:
            choice = stood.value if stood is not None and stood.value.value == value else ChoiceValue(value=value)
        elif stood is not None and stood.value.value == value:
            choice = msgspec.structs.replace(stood.value, children=self.siblings(option.children, former))
        else:  # what goes with both options stays
            kept = tuple(child for child in former if child.definition in option.children)
            changed = _changed(stood.value if stood else ChoiceValue(value=value), value)
            choice = msgspec.structs.replace(changed, children=self.siblings(option.children, kept))
        if stood is not None:
            return msgspec.structs.replace(stood, value=choice)
        return ChoiceSetting(definition=definition.id, value=choice)

    def _group(self, definition: SettingDefinition, base: SettingInstance | None) -> SettingInstance | None:
        offered, inside = members_of(definition, base)
        children = self.siblings(offered, inside)
        is_kept = self._is_ticked(set_name(definition.id)) if definition.id in self.sent else base is not None
        if not children and not is_kept:
            return None
        match base:
            case GroupSetting(value=group):
                return msgspec.structs.replace(base, value=msgspec.structs.replace(group, children=children))
            case GroupCollectionSetting(values=()) if not children:
                return base
            case GroupCollectionSetting(values=values):
                group = values[0] if values else GroupValue()
                return msgspec.structs.replace(base, values=(msgspec.structs.replace(group, children=children),))
            case _ if definition.maximum_count == 1:
                values = (GroupValue(children=children),) if children else ()
                return GroupCollectionSetting(definition=definition.id, values=values)
            case _:
                return GroupSetting(definition=definition.id, value=GroupValue(children=children))

    def _items(self, definition: SettingDefinition, base: SettingInstance | None) -> SettingInstance | None:
        stood = base if isinstance(base, GroupCollectionSetting) else None
        values = self.items.get(definition.id, () if stood is None else stood.values)
        is_kept = self._is_ticked(set_name(definition.id)) if definition.id in self.sent else stood is not None
        if not values and not is_kept:
            return None
        if stood is not None:
            return stood if values == stood.values else msgspec.structs.replace(stood, values=values)
        return GroupCollectionSetting(definition=definition.id, values=values)

    def _boxes(self, definition: SettingDefinition, base: SettingInstance | None) -> SettingInstance | None:
        stood = base.values if isinstance(base, ChoiceCollectionSetting) else ()
        ticked = [value for value in self.sent[definition.id] if value]
        kept = tuple(each for each in stood if visible(each.value) in ticked)
        known = {visible(each.value) for each in kept}
        added = tuple(ChoiceValue(value=value) for value in dict.fromkeys(ticked) if value not in known)
        values = (*kept, *added)
        if not values and not self._is_ticked(set_name(definition.id)):
            return None
        if isinstance(base, ChoiceCollectionSetting):
            return msgspec.structs.replace(base, values=values)
        return ChoiceCollectionSetting(definition=definition.id, values=values)

    def _list(
        self, definition: SettingDefinition, base: SettingInstance | None, control: Control
    ) -> SettingInstance | None:
        stood = base.values if isinstance(base, SimpleCollectionSetting) else ()
        texts = texts_of(base)
        is_kept = self._is_ticked(set_name(definition.id))
        if control is Control.REFERENCES:
            sent = _ticked(self.sent[definition.id], texts)
        else:
            sent = [line for value in self.sent[definition.id] for line in _ENDS.split(value)]
        if sent == list(map(visible, texts)) and (sent or is_kept):
            return base  # as it was shown, blank lines and blanks around lines among it
        kind: SimpleKind = "reference" if control is Control.REFERENCES else "string"
        known = {visible(str(value.value)): value for value in stood}
        values = tuple(_line(line, known, kind) for line in sent if line.strip() or (line and line in known))
        if not values and not is_kept:
            return None
        if isinstance(base, SimpleCollectionSetting):
            return msgspec.structs.replace(base, values=values)
        return SimpleCollectionSetting(definition=definition.id, values=values)

    def _secret(self, definition: SettingDefinition, base: SettingInstance | None) -> SettingInstance | None:
        """Read a secret: nobody is shown the one that is kept, so an empty field leaves it."""
        text = self._last(definition.id)
        if not text:
            return base
        value = SimpleValue(kind="secret", value=text, state="notEncrypted")
        if isinstance(base, SimpleSetting):
            return msgspec.structs.replace(base, value=value)
        return SimpleSetting(definition=definition.id, value=value)

    def _simple(
        self, definition: SettingDefinition, base: SettingInstance | None, control: Control
    ) -> SettingInstance | None:
        text = self._last(definition.id)
        stood = base if isinstance(base, SimpleSetting) else None
        is_kept = self._is_ticked(set_name(definition.id))
        if stood is not None and text == visible(str(stood.value.value)) and (text or is_kept):
            return stood
        text = text.strip()
        if not text and not (is_kept and control is Control.TEXT):
            return None
        is_number = control is Control.NUMBER and _NUMBER.fullmatch(text) is not None
        kind: SimpleKind = "integer" if is_number else "string"
        value: str | int = int(text) if is_number else text
        if stood is None:
            return SimpleSetting(definition=definition.id, value=SimpleValue(kind=kind, value=value))
        changed = msgspec.structs.replace(_changed(stood.value, value), kind=kind, state=None, note=None)
        return msgspec.structs.replace(stood, value=changed)

    def _last(self, name: str) -> str:
        values = self.sent.get(name, ())
        return values[-1] if values else ""

    def _is_ticked(self, name: str) -> bool:
        return TICKED in self.sent.get(name, ())


def _ticked(sent: Sequence[str], stood: Iterable[str]) -> list[str]:
    """Return the boxes that are ticked: what stood there in its order, for the page lists boxes in one of its own."""
    ticked = dict.fromkeys(sent[1:] if sent and not sent[0] else sent)  # the empty one tells that they were shown
    kept = [text for text in map(visible, stood) if text in ticked]
    return [*kept, *(text for text in ticked if text not in kept)]


def _line(line: str, known: Mapping[str, SimpleValue], kind: SimpleKind) -> SimpleValue:
    """Return the value that stood there with this text, or a new one without the blanks around it."""
    return known.get(line) or known.get(line.strip()) or SimpleValue(kind=kind, value=line.strip())


def _changed(value: _Value, text: str | int) -> _Value:
    """Give a value another content: it is not the default of its template any more."""
    template = value.template
    if template is not None and template.use_default:
        template = msgspec.structs.replace(template, use_default=False)
    return msgspec.structs.replace(value, value=text, template=template)


def _referring(template: PolicyTemplate, instance: SettingInstance) -> SettingInstance:
    offered = template.setting(instance.definition)
    if offered is None or offered.instance_template is None:
        return instance
    instance = msgspec.structs.replace(instance, template=offered.instance_template)
    if offered.value_template is not None and isinstance(instance, ChoiceSetting | SimpleSetting):
        reference = ValueTemplate(id=offered.value_template)
        return msgspec.structs.replace(instance, value=msgspec.structs.replace(instance.value, template=reference))
    return instance


def _only(texts: Iterable[str]) -> str:
    return next(iter(texts), "")
