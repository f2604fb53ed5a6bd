"""Setting definitions, policy templates and the catalog that holds them, in the shape of their data files.

The data files in ``data`` are these types as JSON, so reading them is decoding them. Facts come from published
material; what was derived, or is ours, says so in ``confidence``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import msgspec
from msgspec import Struct, field

from shieldwall.catalog.vocabulary import Confidence, Direction, Kind, Lists, Merge, Syntax, Tamper, Zero
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import SettingId, TemplateId

__all__ = [
    "FIRST_VERSION",
    "Catalog",
    "Confidence",
    "Dependency",
    "Direction",
    "Kind",
    "Limits",
    "Lists",
    "Merge",
    "Option",
    "PolicyTemplate",
    "Requirement",
    "SettingDefinition",
    "SettingTemplate",
    "Strength",
    "Syntax",
    "Tamper",
    "UnknownSettingError",
    "UnknownTemplateError",
    "WindowsLanding",
    "Zero",
]

FIRST_VERSION: Final = "2026.11.1"
"""The first catalog version; a setting that names no other came with it."""


_BEYOND: Final = 2**63
"""Beyond every number that a setting takes."""


class UnknownSettingError(ShieldwallError):
    """The catalog has no such setting definition."""

    code: ClassVar[str] = "unknownSetting"
    remedy: ClassVar[str] = "Use a settingDefinitionId of this catalog; a newer catalog may know more."


class UnknownTemplateError(ShieldwallError):
    """The catalog has no such policy template."""

    code: ClassVar[str] = "unknownTemplate"
    remedy: ClassVar[str] = "Use a template id of this catalog, such as <base id>_1."


class Option(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """One option of a choice. The suffix of its id is not its value: ``value`` is what the product is told.

    ``since`` counts where it is later than that of the setting itself. ``until_restart`` says that the system does not
    take the choice back: it holds until the next restart, whatever policies say afterwards.
    """

    item_id: str
    display_name: str
    value: str | int | bool
    children: tuple[SettingId, ...] = ()
    required_children: tuple[SettingId, ...] = ()
    until_restart: bool = False
    since: str = FIRST_VERSION
    confidence: Confidence = Confidence.VERIFIED


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """What a simple value may be."""

    minimum: int | None = None
    maximum: int | None = None
    minimum_length: int | None = None
    maximum_length: int | None = None
    pattern: str | None = None
    allowed: tuple[str, ...] = ()
    syntax: Syntax | None = None


class Strength(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """What makes a value stronger than another. Nobody publishes an order; each is ours.

    At most one of ``options`` (from strongest to weakest), ``numbers``, ``lists``, or ``neutral``: no value protects
    more than another. Of ``options``, those that are ``equal`` protect alike, while those that are ``unordered`` each
    protect against something else, so that changing one for another weakens. ``zero`` is said where the number 0 is a
    word; ``unset_differs`` where a list that is left out means something else than an empty one. Of firewall rules,
    ``blocks`` is the option that blocks and ``off`` the one that switches a rule off. ``connectivity`` marks settings
    by which a device can lose its network; it may stand alone, without an order.
    """

    confidence: Confidence
    options: tuple[str, ...] = ()
    equal: tuple[str, ...] = ()
    unordered: tuple[str, ...] = ()
    numbers: Direction | None = None
    zero: Zero | None = None
    lists: Lists | None = None
    unset_differs: bool = False
    neutral: bool = False
    blocks: str | None = None
    off: str | None = None
    connectivity: bool = False

    def rank(self, value: object) -> int | None:
        """Return the place of a value, lower is stronger; ``None`` when this order does not speak about it."""
        if isinstance(value, str):
            if value in self.tied:
                value = self.tied[0]
            return self.options.index(value) if value in self.options else None
        if self.numbers is None or type(value) is not int:
            return None
        if value == 0 and self.zero is not None:
            return -_BEYOND if self.zero is Zero.STRONGEST else _BEYOND
        return -value if self.numbers is Direction.HIGHER else value

    @property
    def tied(self) -> tuple[str, ...]:
        """The options that share one place; none of them is stronger than another."""
        return self.equal or self.unordered

    def is_weakest(self, value: object) -> bool:
        """Say whether nothing can be weaker than this value."""
        rank = self.rank(value)
        last = self.rank(self.options[-1]) if self.options else _BEYOND
        return rank is not None and rank == last


class Requirement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A sibling in the same item that must be set to one of these options."""

    setting: SettingId
    options: tuple[str, ...]


class Dependency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The setting, and the option of it where it is a choice, inside which a setting may stand."""

    parent: SettingId
    option: str | None = None


class WindowsLanding(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """Where a setting lands on Windows, beside its place in the configuration service provider.

    ``preference`` is a property of MSFT_MpPreference, ``status`` one of MSFT_MpComputerStatus, ``firewall_profile`` and
    ``firewall_rule`` are parameters of the firewall's cmdlets. ``inverted`` says that the product asks the opposite
    question (``Allow…`` here, ``Disable…`` there).
    """

    preference: str | None = None
    preference_inverted: bool = False
    status: str | None = None
    registry_key: str | None = None
    registry_value: str | None = None
    registry_inverted: bool = False
    firewall_profile: str | None = None
    firewall_rule: str | None = None
    note: str | None = None
    confidence: Confidence = Confidence.VERIFIED


class SettingDefinition(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """What a setting is. Shared by all templates that offer it.

    ``default`` is an option's item id or a simple value. ``landing`` is the place in the product's own configuration
    (``antivirusEngine.enforcementLevel``), absent where none is known for sure; ``landing_default`` is what the product
    does while nothing stands there. ``identity`` names members by which two items of a union are the same item with
    different values, ``unique`` members whose value no two items of one policy share. ``depends_on`` follows from the
    parents and is filled in by the loader. ``since`` is the catalog version that brought the setting. ``reusable`` says
    that it stands in no policy: reusable settings are made of it, and policies refer to them.
    """

    id: SettingId
    kind: Kind
    display_name: str
    description: str
    category: str
    platform: str
    options: tuple[Option, ...] = ()
    limits: Limits = Limits()
    minimum_count: int = 0
    maximum_count: int | None = None
    ordered: bool = False
    default: str | int | None = None
    children: tuple[SettingId, ...] = ()
    required_children: tuple[SettingId, ...] = ()
    requires: tuple[Requirement, ...] = ()
    landing: str | None = None
    landing_type: str | None = None
    landing_default: str | int | bool | None = None
    windows: WindowsLanding | None = None
    base_uri: str | None = None
    offset_uri: str | None = None
    minimum_version: str | None = None
    since: str = FIRST_VERSION
    merge: Merge = Merge.MOST_SECURE
    identity: tuple[SettingId, ...] = ()
    unique: tuple[SettingId, ...] = ()
    strength: Strength | None = None
    tamper_protected: Tamper = Tamper.NO
    deprecated: bool = False
    supported: bool = True
    reusable: bool = False
    may_need_reboot: bool = False
    note: str | None = None
    confidence: Confidence = Confidence.VERIFIED
    depends_on: tuple[Dependency, ...] = ()

    def option(self, item_id: str) -> Option | None:
        """Return the option with this item id, ``None`` when there is none."""
        return next((option for option in self.options if option.item_id == item_id), None)

    @property
    def until_restart(self) -> tuple[Option, ...]:
        """The options that hold until the next restart, whatever policies say afterwards."""
        return tuple(option for option in self.options if option.until_restart)

    def nested(self) -> tuple[SettingId, ...]:
        """Return every setting that may stand directly inside this one."""
        return self.children + tuple(child for option in self.options for child in option.children)


class SettingTemplate(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """A top-level setting that a policy template offers. Template ids are absent where none is known."""

    definition: SettingId
    instance_template: str | None = None
    value_template: str | None = None
    required: bool = False
    confidence: Confidence = Confidence.VERIFIED


class PolicyTemplate(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """What a kind of policy offers.

    ``other_technologies`` are further spellings that exports of this template are known to carry; ``supported`` is
    false for a template that exists and is not delivered through this channel.
    """

    id: TemplateId
    base_id: str
    version: int
    display_name: str
    display_version: str
    description: str
    family: str
    platforms: str
    technologies: str
    other_technologies: tuple[str, ...] = ()
    supported: bool = True
    note: str | None = None
    since: str = FIRST_VERSION
    confidence: Confidence = Confidence.VERIFIED
    settings: tuple[SettingTemplate, ...]

    def setting(self, definition: SettingId) -> SettingTemplate | None:
        """Return the template's entry for a top-level setting, ``None`` when it does not offer it."""
        return next((setting for setting in self.settings if setting.definition == definition), None)


class Catalog(Struct, frozen=True, kw_only=True):
    """All definitions and templates of one catalog version."""

    version: str
    definitions: Mapping[SettingId, SettingDefinition]
    templates: Mapping[TemplateId, PolicyTemplate]
    families: Mapping[SettingId, str] = field(default_factory=dict)
    """The template family each setting belongs to: that of the first template that leads to it."""

    def definition(self, setting: SettingId) -> SettingDefinition:
        """Return a setting's definition. Raises: UnknownSettingError."""
        found = self.definitions.get(setting)
        if found is None:
            raise UnknownSettingError(f"The catalog {self.version} has no setting {setting[:128]!r}.")
        return found

    def template(self, template: TemplateId) -> PolicyTemplate:
        """Return a policy template. Raises: UnknownTemplateError."""
        found = self.templates.get(template)
        if found is None:
            raise UnknownTemplateError(f"The catalog {self.version} has no template {template[:128]!r}.")
        return found
