"""Whose a value of the Windows firewall is: a policy's, Group Policy's, a local administrator's, or Windows' own."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.windows_firewall import STORE, FirewalledMachine, of, profile, profiles

from shieldwall.agent.applier.sources import Source
from shieldwall.agent.host.registry import RegistryValue
from shieldwall.agent.providers.windows_firewall import GROUP_POLICY_STORE, MDM_STORE, PolicyStore
from shieldwall.testing.windows.firewall import KEYS, LOCAL


def told(machine: FirewalledMachine) -> dict[str, tuple[Source, object]]:
    return {each.setting.removeprefix(STORE): (each.source, each.value) for each in machine.applier.sources()}


def number(value: int) -> RegistryValue:
    return RegistryValue.dword(value)


@pytest.mark.parametrize("store", [MDM_STORE, GROUP_POLICY_STORE], ids=["mdm", "group policy"])
def test_each_value_has_its_source(tmp_path: Path, store: PolicyStore) -> None:
    machine = FirewalledMachine(tmp_path, store=store)
    registry = machine.windows.registry
    registry.fill(rf"{KEYS['groupPolicy']}\DomainProfile", {"EnableFirewall": number(0)})
    registry.fill(rf"{KEYS['groupPolicy']}\PrivateProfile\Logging", {"LogFilePath": RegistryValue.text(r"C:\gp.log")})
    registry.fill(KEYS["groupPolicy"], {"IPsecExempt": number(9)})
    registry.fill(rf"{LOCAL}\StandardProfile", {"DisableNotifications": number(1), "EnableFirewall": number(0)})
    registry.fill(rf"{LOCAL}\PublicProfile\Logging", {"LogFileSize": number(8000)})
    machine.enforce(profiles(profile("private", of("private", "disablestealthmode", "false"))))

    found = told(machine)
    assert found["privateprofile_enablefirewall"] == (Source.POLICY, f"{STORE}privateprofile_enablefirewall_true")
    assert found["domainprofile_enablefirewall"] == (
        Source.GROUP_POLICY,
        f"{STORE}domainprofile_enablefirewall_false",
    )
    assert found["privateprofile_logfilepath"] == (Source.GROUP_POLICY, r"C:\gp.log")
    assert found["global_ipsecexempt"] == (
        Source.GROUP_POLICY,
        [f"{STORE}global_ipsecexempt_1", f"{STORE}global_ipsecexempt_8"],
    )
    assert found["privateprofile_disableinboundnotifications"] == (
        Source.LOCAL_ADMINISTRATOR,
        f"{STORE}privateprofile_disableinboundnotifications_true",
    )
    assert found["publicprofile_logmaxfilesize"] == (Source.LOCAL_ADMINISTRATOR, 8000)
    assert found["publicprofile_enablefirewall"] == (Source.DEFAULT, f"{STORE}publicprofile_enablefirewall_true")
