"""Where the value of a setting comes from that is in effect: who could change it, and whom to ask. Pure.

A value that a policy asks for and that holds comes from the *policy*; on a device under *tamper protection*, where a
local administrator wants something else, from that: they can neither change it nor end what holds it. Where another
manager owns the device, everything is theirs. What no policy asks for is a *local administrator's*, or the product's
own *default*. On Windows a *Group Policy* may stand between them, and the product's own tamper protection above all.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct, field

from shieldwall.agent.applier.values import shown
from shieldwall.agent.providers.base import Desired, Other, Whose
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId, SettingIdField
from shieldwall.policy.values import SettingValue


class Source(StrEnum):
    """Whose a value is."""

    POLICY = "policy"
    LOCAL_ADMINISTRATOR = "localAdministrator"
    GROUP_POLICY = "groupPolicy"
    OTHER_MANAGER = "otherManager"
    DEFAULT = "default"
    TAMPER_PROTECTION = "tamperProtection"


class SettingSource(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """One setting at one product: the value in effect, and whose it is.

    ``local`` is what a local administrator wants instead, where something stronger holds; ``manager`` names another
    product that owns the device.
    """

    setting: SettingIdField
    provider: str
    source: Source
    value: Any = None
    local: Any = None
    manager: str | None = None


class Product(Struct, frozen=True, kw_only=True):
    """What one product holds: what policies ask of it, what was found, what holds without us, what it could hold."""

    name: str
    desired: Desired
    found: Desired
    local: Desired
    supported: frozenset[SettingId]
    others: Mapping[SettingId, Other] = field(default_factory=dict)
    """Values of others that the product tells of."""


def sources(catalog: Catalog, product: Product, *, manager: str | None, protected: bool) -> tuple[SettingSource, ...]:
    """Say of every setting of a product whose it is, in the order of setting ids."""
    settings = {*product.desired, *product.local, *product.supported, *product.others}
    return tuple(
        _source(catalog, product, setting, manager=manager, protected=protected)
        for setting in sorted(settings)
        if setting in catalog.definitions
    )


def _source(
    catalog: Catalog, product: Product, setting: SettingId, *, manager: str | None, protected: bool
) -> SettingSource:
    wanted, found, local = product.desired.get(setting), product.found.get(setting), product.local.get(setting)
    other = product.others.get(setting)
    holds = wanted is not None and found == wanted
    if manager is not None:
        source, value, local = Source.OTHER_MANAGER, found if found is not None else local, None
    elif other is not None and other.whose is Whose.TAMPER_PROTECTION:
        source, value = Source.TAMPER_PROTECTION, other.value
    elif other is not None and not holds:
        source = Source.GROUP_POLICY if other.whose is Whose.GROUP_POLICY else Source.DEFAULT
        value, local = other.value, None
    elif holds:
        overrules = local is not None and local != wanted
        source, value = Source.TAMPER_PROTECTION if protected and overrules else Source.POLICY, wanted
    elif local is not None or found is not None:
        source, value, local = Source.LOCAL_ADMINISTRATOR, local if local is not None else found, None
    else:
        source, value = Source.DEFAULT, _default(catalog, setting)
    return SettingSource(
        setting=setting,
        provider=product.name,
        source=source,
        value=shown(catalog, setting, value),
        local=None if local == value else shown(catalog, setting, local),
        manager=manager,
    )


def _default(catalog: Catalog, setting: SettingId) -> SettingValue | None:
    """Return what the product does by itself, as a policy would say it; ``None`` where nobody knows."""
    definition = catalog.definition(setting)
    default = definition.landing_default
    if definition.options:
        same = (each for each in definition.options if type(each.value) is type(default) and each.value == default)
        return next((each.item_id for each in same), None)
    return None if isinstance(default, bool) else default
