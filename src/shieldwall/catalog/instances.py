"""Check setting instances against their definitions, from the top of a policy down to the innermost value.

Only what stands where its definition may stand is followed further, so nothing nests deeper than the catalog does.
References of nested settings to instance and value templates are not looked at: exports carry none, or an ancestor's.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct, field

from shieldwall.catalog.faults import Fault, LocatedFault
from shieldwall.catalog.findings import Finding
from shieldwall.catalog.firewall import RULE_READERS, Rule, ServerEndpoints, together_faults
from shieldwall.catalog.model import Catalog, Kind, Option, SettingDefinition
from shieldwall.catalog.simple_values import value_faults
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
    SimpleSetting,
    SimpleValue,
)

_SHAPES: Final[Mapping[Kind, type[SettingInstance]]] = {
    Kind.CHOICE: ChoiceSetting,
    Kind.CHOICE_COLLECTION: ChoiceCollectionSetting,
    Kind.SIMPLE_STRING: SimpleSetting,
    Kind.SIMPLE_INTEGER: SimpleSetting,
    Kind.SIMPLE_SECRET: SimpleSetting,
    Kind.SIMPLE_STRING_COLLECTION: SimpleCollectionSetting,
    Kind.GROUP: GroupSetting,
    Kind.GROUP_COLLECTION: GroupCollectionSetting,
}


class Scope(Struct, frozen=True):
    """Settings that stand together, at the top of a policy or in one item: each once, with its path."""

    placed: dict[SettingId, tuple[str, SettingInstance]] = field(default_factory=dict)


class InstanceChecker(Struct, frozen=True):
    """Collects findings over one policy."""

    catalog: Catalog
    server: ServerEndpoints | None = None
    findings: list[Finding] = field(default_factory=list)

    def report(self, path: str, code: str, message: str, allowed: str = "") -> None:
        """Add a finding."""
        self.findings.append(Finding(path, code, message, allowed))

    def known(self, path: str, instance: SettingInstance) -> SettingDefinition | None:
        """Return an instance's definition, or report that there is none."""
        definition = self.catalog.definitions.get(instance.definition)
        if definition is None:
            message = f"There is no setting {instance.definition[:128]!r}."
            self.report(f"{path}.definition", "unknownSetting", message)
        return definition

    def instance(self, path: str, definition: SettingDefinition, instance: SettingInstance, scope: Scope) -> None:
        """Check an instance that stands where it may."""
        if definition.id in scope.placed:
            self.report(path, "duplicateSetting", f"{definition.display_name!r} is set twice.", "Once.")
            return
        scope.placed[definition.id] = (path, instance)
        if not definition.supported:
            message = f"{definition.display_name!r} is not supported on this channel."
            self.report(f"{path}.definition", "unsupportedSetting", message)
        if isinstance(instance, _SHAPES[definition.kind]):
            self._value(path, definition, instance, scope)
        else:
            message = f"{definition.display_name!r} is of another kind."
            self.report(path, "wrongKind", message, f"The kind {definition.kind}.")

    def required(self, path: str, settings: Iterable[SettingId], scope: Scope) -> None:
        """Report settings that are missing from a scope."""
        for setting in settings:
            if setting not in scope.placed:
                message = f"{self.catalog.definition(setting).display_name!r} is missing."
                self.report(path, "missingSetting", message, f"{setting} is required.")

    def together(self, scope: Scope) -> None:
        """Report settings whose siblings do not allow them; a sibling left out has its default."""
        for setting, (path, _) in scope.placed.items():
            for requirement in self.catalog.definition(setting).requires:
                if self._chosen(requirement.setting, scope) not in requirement.options:
                    message = "This goes only with another value of a setting beside it."
                    allowed = f"{requirement.setting} set to {' or '.join(requirement.options)}."
                    self.report(path, "notTogether", message, allowed)

    def _chosen(self, setting: SettingId, scope: Scope) -> object:
        """Return the option that a setting has in a scope: its default where it is left out."""
        _, placed = scope.placed.get(setting, ("", None))
        if placed is None:
            return self.catalog.definition(setting).default
        return placed.value.value if isinstance(placed, ChoiceSetting) else None

    def _value(self, path: str, definition: SettingDefinition, instance: SettingInstance, scope: Scope) -> None:
        match instance:
            case ChoiceSetting(value=choice):
                self._choice(path, f"{path}.value", definition, choice, scope)
            case ChoiceCollectionSetting(values=choices):
                self._collection(path, definition, [choice.value for choice in choices])
                for position, choice in enumerate(choices):
                    self._choice(f"{path}.values[{position}]", f"{path}.values[{position}]", definition, choice, scope)
            case SimpleSetting(value=simple):
                self._faults(f"{path}.value", value_faults(definition, simple))
            case SimpleCollectionSetting(values=simples):
                self._collection(path, definition, [(simple.kind, simple.value) for simple in simples])
                for position, simple in enumerate(simples):
                    self._faults(f"{path}.values[{position}]", value_faults(definition, simple))
            case GroupSetting(value=group):
                self._children(path, definition, group.children, scope)
                self.required(path, definition.required_children, scope)
            case GroupCollectionSetting(values=groups):
                self._groups(path, definition, groups)

    def _choice(
        self, path: str, value_path: str, definition: SettingDefinition, choice: ChoiceValue, scope: Scope
    ) -> None:
        option = definition.option(choice.value)
        if option is None:
            message = f"{choice.value[:128]!r} is not an option of {definition.display_name!r}."
            self.report(value_path, "unknownOption", message, ", ".join(o.item_id for o in definition.options))
            return
        self._children(path, option, choice.children, scope)
        self.required(path, option.required_children, scope)

    def _children(
        self, path: str, holder: SettingDefinition | Option, children: Sequence[SettingInstance], scope: Scope
    ) -> None:
        for position, child in enumerate(children):
            child_path = f"{path}.children[{position}]"
            definition = self.known(child_path, child)
            if definition is None:
                continue
            if definition.id in holder.children:
                self.instance(child_path, definition, child, scope)
            else:
                message = f"{definition.display_name!r} does not belong here."
                self.report(f"{child_path}.definition", "misplacedSetting", message, places(definition))

    def _groups(self, path: str, definition: SettingDefinition, groups: Sequence[GroupValue]) -> None:
        self._collection(path, definition, [group.children for group in groups])
        taken: dict[SettingId, set[Hashable]] = {member: set() for member in definition.unique}
        rules: list[tuple[str, Rule]] = []
        for position, group in enumerate(groups):
            item_path, scope, before = f"{path}.values[{position}]", Scope(), len(self.findings)
            self._children(item_path, definition, group.children, scope)
            self.required(item_path, definition.required_children, scope)
            self.together(scope)
            members = {setting: _plain(instance) for setting, (_, instance) in scope.placed.items()}
            for member, values in taken.items():
                value = members.get(member)
                if value is not None and value in values:
                    self.report(scope.placed[member][0], "duplicateItem", "Another item has this value.", "Its own.")
                values.add(value)
            read = RULE_READERS.get(definition.id)
            if read is not None and len(self.findings) == before:
                rule = read(members, self.server)
                if not isinstance(rule, Rule):
                    self._located(scope, rule)
                    continue
                self._faults(item_path, rule.faults(self.server))
                if len(self.findings) == before:
                    rules.append((item_path, rule))
        for item_path, fault in together_faults(rules):
            self._faults(item_path, (fault,))

    def _collection(self, path: str, definition: SettingDefinition, values: Sequence[Hashable]) -> None:
        low, high = definition.minimum_count, definition.maximum_count
        if len(values) < low or (high is not None and len(values) > high):
            message = f"{definition.display_name!r} has {len(values)} values."
            self.report(path, "wrongCount", message, f"{low} to {high} values." if high else f"At least {low}.")
        seen: set[Hashable] = set()
        for position, value in enumerate(values):
            if value in seen:
                self.report(f"{path}.values[{position}]", "duplicateItem", "This stands here twice.", "Once.")
            seen.add(value)

    def _located(self, scope: Scope, faults: Iterable[LocatedFault]) -> None:
        for member, fault in faults:
            self._faults(scope.placed[member][0], (fault,))

    def _faults(self, path: str, faults: Iterable[Fault]) -> None:
        self.findings.extend(Finding(path, fault.code, fault.message, fault.allowed) for fault in faults)


def places(definition: SettingDefinition) -> str:
    """Say where a setting may stand."""
    inside = [dependency.option or dependency.parent for dependency in definition.depends_on]
    return f"Inside {' or '.join(inside)}." if inside else "At the top of a policy of a template that offers it."


def _plain(instance: SettingInstance) -> str | tuple[str, ...]:
    """Return an instance's item id, text or texts, for rules over a whole item."""
    match instance:
        case ChoiceSetting(value=ChoiceValue(value=text)):
            return text
        case SimpleSetting(value=SimpleValue(value=value)):
            return str(value)
        case SimpleCollectionSetting(values=simples):
            return tuple(str(simple.value) for simple in simples)
        case ChoiceCollectionSetting(values=choices):
            return tuple(choice.value for choice in choices)
        case _:
            return ()
