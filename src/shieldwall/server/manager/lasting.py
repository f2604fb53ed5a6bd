"""Changes that a device does not make, or take back, without a restart. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId
from shieldwall.policy.compare import Change
from shieldwall.policy.device_sets import NOBODY, DeviceSet


def restarting(catalog: Catalog, changes: Iterable[Change]) -> Mapping[SettingId, DeviceSet]:
    """Return the settings that change and may take effect only after a restart, and on which devices."""
    found: dict[SettingId, DeviceSet] = {}
    for change in changes:
        if catalog.definition(change.setting).may_need_reboot:
            found[change.setting] = found.get(change.setting, NOBODY) | change.devices
    return found


def irreversible(catalog: Catalog, changes: Iterable[Change]) -> Mapping[SettingId, DeviceSet]:
    """Return the settings that come out as what devices do not take back before their next restart, and on which."""
    found: dict[SettingId, DeviceSet] = {}
    for change in changes:
        lasting = {option.item_id for option in catalog.definition(change.setting).until_restart}
        if change.after.value in lasting:
            found[change.setting] = found.get(change.setting, NOBODY) | change.devices
    return found
