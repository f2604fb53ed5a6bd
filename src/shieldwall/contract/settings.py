"""Setting instances and the policy document, as they travel and as they are signed.

The kinds mirror ``deviceManagementConfiguration*SettingInstance`` of Microsoft Graph; the Graph front door
translates one to one. Template references are kept so that what an administrator exported comes back as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

import msgspec

from shieldwall.contract.ids import PolicyIdField, SettingIdField, TemplateId, TenantIdField

MAX_SETTINGS = 2_000
"""Most setting instances, nested ones included, that one policy may hold."""
MAX_VALUE_LENGTH = 87_516
"""Longest string value where its definition says nothing else, as Graph bounds it."""
MAX_SECRET_LENGTH = 175_032
"""Longest value of all: the onboarding package of a Windows device."""

LOWEST_PRIORITY = 500
"""The worst priority a policy may have; 1 is the best."""

ValueText: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_SECRET_LENGTH)]
SimpleKind: TypeAlias = Literal["string", "integer", "secret", "reference"]
SecretState: TypeAlias = Literal["invalid", "notEncrypted", "encryptedValueToken"]
"""What the value of a secret is: the secret itself, or the token by which it is known outside."""


class ValueTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Reference from a value to the value template it was authored with."""

    id: str
    use_default: bool = False


class ChoiceValue(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """A chosen option, by its item id, with the settings that this option brings along."""

    value: ValueText
    children: tuple[SettingInstance, ...] = ()
    template: ValueTemplate | None = None


class SimpleValue(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """A string, integer, secret or reference. A secret may say its ``state``, a reference have a ``note``."""

    kind: SimpleKind
    value: ValueText | int
    template: ValueTemplate | None = None
    state: SecretState | None = None
    note: ValueText | None = None


class GroupValue(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """One item of a group: its member settings."""

    children: tuple[SettingInstance, ...] = ()
    template: ValueTemplate | None = None


class ChoiceSetting(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename="camel",
    tag_field="kind",
    tag="choice",
):
    """One option of several."""

    definition: SettingIdField
    value: ChoiceValue
    template: str | None = None


class ChoiceCollectionSetting(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename="camel",
    tag_field="kind",
    tag="choiceCollection",
):
    """Several options of several."""

    definition: SettingIdField
    values: tuple[ChoiceValue, ...]
    template: str | None = None


class SimpleSetting(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename="camel",
    tag_field="kind",
    tag="simple",
):
    """One string or number."""

    definition: SettingIdField
    value: SimpleValue
    template: str | None = None


class SimpleCollectionSetting(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename="camel",
    tag_field="kind",
    tag="simpleCollection",
):
    """A list of strings or numbers."""

    definition: SettingIdField
    values: tuple[SimpleValue, ...]
    template: str | None = None


class GroupSetting(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename="camel",
    tag_field="kind",
    tag="group",
):
    """Settings that belong together, once. ``legacy`` is an older spelling of it that has no members."""

    definition: SettingIdField
    value: GroupValue
    template: str | None = None
    legacy: bool = False


class GroupCollectionSetting(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename="camel",
    tag_field="kind",
    tag="groupCollection",
):
    """Settings that belong together, any number of times: exclusions, firewall rules. ``legacy`` as above."""

    definition: SettingIdField
    values: tuple[GroupValue, ...]
    template: str | None = None
    legacy: bool = False


SettingInstance: TypeAlias = (
    ChoiceSetting
    | ChoiceCollectionSetting
    | SimpleSetting
    | SimpleCollectionSetting
    | GroupSetting
    | GroupCollectionSetting
)


class PolicyDocument(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """One immutable revision of a policy: the payload that is signed, stored by its digest and enforced.

    ``modified_at`` is RFC 3339 in UTC; the published conflict rules fall back on it. ``revision`` counts from 1.
    ``priority`` counts where a tenant lets it decide: 1 is best, a policy without one comes last.
    """

    tenant_id: TenantIdField
    policy_id: PolicyIdField
    revision: Annotated[int, msgspec.Meta(ge=1)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    platforms: str
    technologies: str
    template_id: TemplateId
    modified_at: str
    catalog_version: str
    settings: Annotated[tuple[SettingInstance, ...], msgspec.Meta(max_length=MAX_SETTINGS)]
    priority: Annotated[int, msgspec.Meta(ge=1, le=LOWEST_PRIORITY)] | None = None


def nested(instance: SettingInstance) -> tuple[SettingInstance, ...]:
    """Return the instances directly inside ``instance``."""
    match instance:
        case ChoiceSetting(value=value):
            return value.children
        case ChoiceCollectionSetting(values=choices):
            return tuple(child for choice in choices for child in choice.children)
        case GroupSetting(value=group):
            return group.children
        case GroupCollectionSetting(values=groups):
            return tuple(child for group in groups for child in group.children)
        case SimpleSetting() | SimpleCollectionSetting():
            return ()


def walk(settings: tuple[SettingInstance, ...]) -> Iterator[SettingInstance]:
    """Yield every instance, parents before children."""
    for instance in settings:
        yield instance
        yield from walk(nested(instance))
