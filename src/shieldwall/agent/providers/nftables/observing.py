"""What the running firewall shows of each setting. Never raises for a machine that does not answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Observation
from shieldwall.agent.providers.nftables import running
from shieldwall.agent.providers.nftables.differences import differences
from shieldwall.agent.providers.nftables.live import LiveTable
from shieldwall.agent.providers.nftables.nft import NftablesError, live_table
from shieldwall.agent.providers.nftables.probing import Probe, Proof
from shieldwall.agent.providers.nftables.running import UnitError
from shieldwall.agent.providers.nftables.script import Asked, read_script
from shieldwall.agent.providers.nftables.units import BOOT, BOOT_UNIT, LOG, LOG_UNIT, SCRIPT
from shieldwall.agent.providers.nftables.zones import (
    CONFIRM_SECONDS,
    HELPERS,
    LOAD_AT_BOOT,
    ZoneName,
    is_list,
    zone_of,
    zone_setting,
)
from shieldwall.contract.ids import SettingId

_IN_EFFECT: Final = Observation(effective=True)
_MOST: Final = 10


def observations(host: Host, desired: Desired, probe: Probe) -> Mapping[SettingId, Observation]:
    """Compare the table that the kernel has with the one that the script makes, and look at what else is needed.

    What packets can prove they do prove, where the table is as it must be.
    """
    if not desired:
        return {}
    proof: Proof | None = None
    try:
        asked = read_script(host.read_file(SCRIPT))
        live = live_table(host)
        table = _of_table(live, asked)
        if asked is not None and live is not None and table.effective:
            proof = probe.proof(host, asked, live)
    except (NftablesError, HostError) as error:
        asked, table = None, Observation(effective=None, code=error.code, reason=error.cause)
    if proof is None:
        probe.forget()
    return {setting: _of(host, setting, asked, table, proof) for setting in desired}


def _of_table(live: LiveTable | None, asked: Asked | None) -> Observation:
    if asked is None:
        return Observation(effective=False, code="scriptChanged", reason="The script is not the one that was written.")
    found = differences(live, asked.table())
    if not found:
        return _IN_EFFECT
    codes = ", ".join(dict.fromkeys(difference.code for difference in found))
    return Observation(effective=False, code=codes, reason=" ".join(each.reason for each in found[:_MOST]))


def _of(host: Host, setting: SettingId, asked: Asked | None, table: Observation, proof: Proof | None) -> Observation:
    """Say what is seen of one setting: the table speaks for all of them, some need more than the table."""
    if asked is None or proof is None:
        return table
    zone = zone_of(setting)
    seen = _of_all_zones(host, setting, asked) if zone is None else _of_zone(host, setting, zone, asked)
    return (proof.of(setting, asked) or seen) if seen == _IN_EFFECT else seen


def _of_all_zones(host: Host, setting: SettingId, asked: Asked) -> Observation:
    if setting == CONFIRM_SECONDS:
        return Observation(effective=None, code="notProvable", reason="It counts when a change has to be confirmed.")
    if setting == LOAD_AT_BOOT:
        return _of_boot(host, asked)
    if setting == HELPERS and asked.profile.helpers and not asked.machine.helpers:
        return Observation(effective=False, code="engineUnavailable", reason="This kernel has no helper that is known.")
    return _IN_EFFECT


def _of_zone(host: Host, setting: SettingId, zone: ZoneName, asked: Asked) -> Observation:
    settings = asked.profile.zone(zone)
    if zone not in asked.profile.reachable:
        return Observation(effective=None, code="emptyZone", reason="No interface can be in this zone.")
    if setting == zone_setting(zone, "enablefirewall") or is_list(setting):
        return _IN_EFFECT
    if not settings.configured:
        return Observation(effective=None, code="zoneOff", reason="The firewall is not switched on in this zone.")
    if setting.endswith("_sourceaddressvalidation") and settings.validation != "off" and "fib" in asked.machine.lacking:
        return _unavailable("validate source addresses")
    return _of_log(host, asked) if "_enablelog" in setting else _IN_EFFECT


def _of_boot(host: Host, asked: Asked) -> Observation:
    if not asked.profile.load_at_boot:
        return _IN_EFFECT
    try:
        targets = running.wanted_by(host, BOOT) if host.read_file(BOOT_UNIT) is not None else ""
    except (UnitError, HostError) as error:
        return Observation(effective=None, code=error.code, reason=error.cause)
    if "sysinit.target" in targets.split():
        return _IN_EFFECT
    return Observation(effective=False, code="notWanted", reason=f"systemd does not start {BOOT} at boot.")


def _of_log(host: Host, asked: Asked) -> Observation:
    if not any(line.log for line in asked.table().lines):
        return _IN_EFFECT
    if "log" in asked.machine.lacking:
        return _unavailable("log packets")
    try:
        if host.read_file(LOG_UNIT) is not None and not running.is_active(host, LOG):
            return Observation(effective=False, code="logDown", reason=f"{LOG}, which writes the log, does not run.")
    except (UnitError, HostError) as error:
        return Observation(effective=None, code=error.code, reason=error.cause)
    return _IN_EFFECT


def _unavailable(what: str) -> Observation:
    return Observation(
        effective=False, code="engineUnavailable", reason=f"This kernel was built without means to {what}."
    )
