"""Setting instances from Graph's shape into ours, one to one.

Graph tells kinds apart by ``@odata.type`` and nests values in members named after the kind
(``deviceManagementConfigurationSettingInstance`` and its derivatives). Reading is strict: a member we do not know, or a
type that does not fit its member, is refused with the place where it stands. Annotations that exports carry beside a
member (``value@odata.type``, ``@odata.editLink``) say nothing new and are passed over.
"""

from __future__ import annotations

from typing import Any, Final, get_args

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import (
    ChoiceCollectionSetting,
    ChoiceSetting,
    ChoiceValue,
    GroupCollectionSetting,
    GroupSetting,
    GroupValue,
    SecretState,
    SettingInstance,
    SimpleCollectionSetting,
    SimpleSetting,
    SimpleValue,
    ValueTemplate,
)
from shieldwall.contract.strict_json import convert
from shieldwall.server.graph.setting_types import PREFIX, SIMPLE_KINDS

_STATES: Final = (None, *get_args(SecretState))


def read_settings(value: Any, place: str = "settings") -> tuple[SettingInstance, ...]:
    """Read the ``settings`` of a policy: a list of ``{"id", "settingInstance"}``. Raises: InvalidJsonError."""
    return tuple(read_setting(item, f"{place}[{index}]") for index, item in enumerate(_list(value, place)))


def read_setting(value: Any, place: str) -> SettingInstance:
    """Read one ``{"id", "settingInstance"}``. Raises: InvalidJsonError."""
    return _instance(_Object(value, place, ignored=("id", "settingDefinitions")).only("settingInstance"))


def read_instance(value: Any, place: str) -> SettingInstance:
    """Read one setting instance. Raises: InvalidJsonError."""
    return _instance(_Object(value, place))


class _Object:
    """A JSON object under reading: knows its place, hands out its members, refuses what is left over."""

    def __init__(self, value: Any, place: str, *, ignored: tuple[str, ...] = ()) -> None:
        if not isinstance(value, dict):
            raise InvalidJsonError(f"{place}: expected an object.")
        self.place = place
        self._members = {name: member for name, member in value.items() if not _is_annotation(name)}
        for name in ignored:
            self._members.pop(name, None)

    def take(self, name: str, default: Any = None) -> Any:
        return self._members.pop(name, default)

    def only(self, name: str) -> _Object:
        member = _Object(self.take(name), f"{self.place}.{name}")
        self.done()
        return member

    def done(self) -> None:
        self._members.pop("@odata.type", None)
        if self._members:
            raise InvalidJsonError(f"{self.place}: unknown member {min(self._members)!r}.")


def _is_annotation(name: str) -> bool:
    return name != "@odata.type" and ("@odata." in name or name.startswith("#"))


def _list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidJsonError(f"{place}: expected a list.")
    return value


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise InvalidJsonError(f"{place}: expected a string.")
    return value


def _instance(shape: _Object) -> SettingInstance:
    kind = _text(shape.take("@odata.type"), f"{shape.place}.@odata.type").removeprefix(PREFIX)
    definition = SettingId(_text(shape.take("settingDefinitionId"), f"{shape.place}.settingDefinitionId"))
    template = _instance_template(shape)
    instance: SettingInstance
    match kind:
        case "ChoiceSettingInstance":
            choice = _choice(*_member(shape, "choiceSettingValue"))
            instance = ChoiceSetting(definition=definition, value=choice, template=template)
        case "ChoiceSettingCollectionInstance":
            choices = tuple(_choice(*each) for each in _members(shape, "choiceSettingCollectionValue"))
            instance = ChoiceCollectionSetting(definition=definition, values=choices, template=template)
        case "SimpleSettingInstance":
            simple = _simple(*_member(shape, "simpleSettingValue"))
            instance = SimpleSetting(definition=definition, value=simple, template=template)
        case "SimpleSettingCollectionInstance":
            simples = tuple(_simple(*each) for each in _members(shape, "simpleSettingCollectionValue"))
            instance = SimpleCollectionSetting(definition=definition, values=simples, template=template)
        case "GroupSettingInstance":
            group = read_group(*_member(shape, "groupSettingValue"))
            instance = GroupSetting(definition=definition, value=group, template=template)
        case "GroupSettingCollectionInstance":
            groups = tuple(read_group(*each) for each in _members(shape, "groupSettingCollectionValue"))
            instance = GroupCollectionSetting(definition=definition, values=groups, template=template)
        case "SettingGroupInstance":
            instance = GroupSetting(definition=definition, value=GroupValue(), template=template, legacy=True)
        case "SettingGroupCollectionInstance":
            instance = GroupCollectionSetting(definition=definition, values=(), template=template, legacy=True)
        case _:
            raise InvalidJsonError(f"{shape.place}.@odata.type: {kind[:128]!r} is not a kind of setting instance.")
    if shape.take("auditRuleInformation") is not None:  # null in every export seen
        raise InvalidJsonError(f"{shape.place}.auditRuleInformation: expected null.")
    shape.done()
    return instance


def _member(shape: _Object, name: str) -> tuple[Any, str]:
    return shape.take(name), f"{shape.place}.{name}"


def _members(shape: _Object, name: str) -> list[tuple[Any, str]]:
    value, place = _member(shape, name)
    return [(item, f"{place}[{index}]") for index, item in enumerate(_list(value, place))]


def _instance_template(shape: _Object) -> str | None:
    reference = shape.take("settingInstanceTemplateReference")
    if reference is None:
        return None
    place = f"{shape.place}.settingInstanceTemplateReference"
    inner = _Object(reference, place)
    template = _text(inner.take("settingInstanceTemplateId"), f"{place}.settingInstanceTemplateId")
    inner.done()
    return template


def _value_template(shape: _Object) -> ValueTemplate | None:
    reference = shape.take("settingValueTemplateReference")
    if reference is None:
        return None
    place = f"{shape.place}.settingValueTemplateReference"
    inner = _Object(reference, place)
    template = _text(inner.take("settingValueTemplateId"), f"{place}.settingValueTemplateId")
    use_default = convert(inner.take("useTemplateDefault", default=False), bool)
    inner.done()
    return ValueTemplate(id=template, use_default=use_default)


def _children(shape: _Object) -> tuple[SettingInstance, ...]:
    place = f"{shape.place}.children"
    items = _list(shape.take("children", default=[]), place)
    return tuple(_instance(_Object(item, f"{place}[{index}]")) for index, item in enumerate(items))


def _choice(value: Any, place: str) -> ChoiceValue:
    shape = _Object(value, place)
    template, children = _value_template(shape), _children(shape)
    option = _text(shape.take("value"), f"{place}.value")
    shape.done()
    return ChoiceValue(value=option, children=children, template=template)


def read_group(value: Any, place: str) -> GroupValue:
    """Read one item of a group. Raises: InvalidJsonError."""
    shape = _Object(value, place)
    group = GroupValue(template=_value_template(shape), children=_children(shape))
    shape.done()
    return group


def _simple(value: Any, place: str) -> SimpleValue:
    shape = _Object(value, place)
    name = _text(shape.take("@odata.type"), f"{place}.@odata.type")
    kind = SIMPLE_KINDS.get(name)
    if kind is None:
        raise InvalidJsonError(f"{place}.@odata.type: {name[:128]!r} is not a kind of simple value.")
    template, content = _value_template(shape), shape.take("value")
    state = shape.take("valueState") if kind == "secret" else None
    if state not in _STATES:
        raise InvalidJsonError(f"{place}.valueState: {str(state)[:64]!r} is not a state of a secret.")
    note = shape.take("note") if kind == "reference" else None
    if note is not None:
        _text(note, f"{place}.note")
    shape.done()
    fits = type(content) is int if kind == "integer" else isinstance(content, str)
    if not fits:
        raise InvalidJsonError(f"{place}.value: expected {'an integer' if kind == 'integer' else 'a string'}.")
    return SimpleValue(kind=kind, value=content, template=template, state=state, note=note)
