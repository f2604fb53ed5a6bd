"""Of new policies, what strengthens a device and nothing else. Pure."""

from __future__ import annotations

from types import MappingProxyType

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId
from shieldwall.policy.classify import ChangeClass, classify
from shieldwall.policy.resolve import EffectivePolicy, Resolution


def only_strengthening(catalog: Catalog, holding: EffectivePolicy, wanted: EffectivePolicy) -> EffectivePolicy:
    """Take from ``wanted`` what is as strong as ``holding`` or stronger, setting by setting; else what holds stays.

    A change that may cut the device off is not taken, although it strengthens: nobody would be there to take it back.
    """
    before, after = holding.decided(), wanted.decided()
    chosen: dict[SettingId, Resolution] = {}
    for setting in sorted(holding.settings.keys() | wanted.settings.keys()):
        former, latter = before.get(setting), after.get(setting)
        taken = former == latter or classify(catalog, setting, former, latter) is ChangeClass.STRENGTHEN
        source = wanted if taken else holding
        if setting in source.settings:
            chosen[setting] = source.settings[setting]
    return EffectivePolicy(settings=MappingProxyType(chosen))
