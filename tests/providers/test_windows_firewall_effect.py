"""What is in effect: the store of all stores decides, and whoever says otherwise is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import policies as p
from tests.support import windows_firewall_rules as r
from tests.support.windows_firewall import (
    CATALOG,
    RULE_SETTING,
    STORE,
    FirewalledMachine,
    item,
    of,
    profile,
    profiles,
    rules,
)

from shieldwall.agent.host.cim import LanguageModeError, Properties
from shieldwall.agent.host.registry import RegistryValue, decode
from shieldwall.agent.providers.windows_firewall import (
    GROUP_POLICY_STORE,
    MDM_STORE,
    PolicyStore,
    WindowsFirewallProvider,
)
from shieldwall.agent.providers.windows_firewall.rules import id_of
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import SettingInstance
from shieldwall.contract.status import SettingState
from shieldwall.testing.windows.cim import PretendCim
from shieldwall.testing.windows.firewall import KEYS, LOCAL, PretendFirewall
from shieldwall.testing.windows.firewall_rules import Packet
from shieldwall.testing.windows.machine import WINDOWS_11, Edition

MERGE = SettingId(f"{STORE}publicprofile_allowlocalpolicymerge")
RULES = "firewallrules_{firewallrulename}"
TELNET = r.rule(r.BLOCK, r.OUT, r.TCP, r.remote_ports("23"), name="Telnet")
DOMAIN_CONTROLLER = Edition(
    caption="Microsoft Windows Server 2022 Standard",
    version="10.0.20348",
    product_type=2,
    sku=7,
    installation_type="Server",
)


def everything(name: str) -> tuple[SettingInstance, ...]:
    """Every setting of a profile, with what Windows does not do by itself."""
    number = p.number(f"{STORE}{name}profile_logmaxfilesize", 9000)
    path = p.text(f"{STORE}{name}profile_logfilepath", r"C:\Logs\fw.log")
    choices = {
        "disablestealthmode": "false",
        "shielded": "true",
        "disableunicastresponsestomulticastbroadcast": "true",
        "enablelogdroppedpackets": "true",
        "enablelogsuccessconnections": "true",
        "enablelogignoredrules": "true",
        "disableinboundnotifications": "true",
        "authappsallowuserprefmerge": "false",
        "globalportsallowuserprefmerge": "false",
        "allowlocalipsecpolicymerge": "false",
        "defaultoutboundaction": "1",
        "defaultinboundaction": "0",
        "disablestealthmodeipsecsecuredpacketexemption": "false",
    }
    return (number, path, *(of(name, setting, suffix) for setting, suffix in choices.items()))


@pytest.fixture
def machine(tmp_path: Path) -> FirewalledMachine:
    return FirewalledMachine(tmp_path)


@pytest.mark.parametrize("store", [MDM_STORE, GROUP_POLICY_STORE], ids=["mdm", "group policy"])
@pytest.mark.parametrize("name", ["domain", "private", "public"])
def test_every_setting_of_a_profile_takes_effect(tmp_path: Path, store: PolicyStore, name: str) -> None:
    machine = FirewalledMachine(tmp_path, store=store)
    told = machine.enforce(profiles(profile(name, *everything(name))))

    assert len(told) == 16
    assert {status.state for status in told.values()} == {SettingState.PENDING}  # it may cut off, so it is on probation
    shown = {setting: status.effective for setting, status in told.items()}
    assert shown == {setting: None if setting.endswith("_disablestealthmode") else True for setting in told}


def test_what_holds_for_all_profiles_takes_effect_or_cannot_be_seen(machine: FirewalledMachine) -> None:
    told = machine.enforce(
        profiles(
            p.choice(f"{STORE}global_disablestatefulftp", "_true"),
            p.number(f"{STORE}global_saidletime", 600),
            p.choices(f"{STORE}global_ipsecexempt", "_1", "_2"),
        )
    )
    assert {setting: status.effective for setting, status in told.items()} == {
        "global_disablestatefulftp": True,
        "global_saidletime": True,
        "global_ipsecexempt": None,
    }
    held = decode(machine.host.read_file(MDM_STORE.path) or b"")[""]
    assert held["IPsecExempt"] == RegistryValue.dword(3)


def test_a_group_policy_that_says_otherwise_is_named(machine: FirewalledMachine) -> None:
    machine.firewall.precedence = ("groupPolicy", "mdm", "local")
    machine.windows.registry.fill(rf"{KEYS['groupPolicy']}\PublicProfile", {"EnableFirewall": RegistryValue.dword(0)})
    told = machine.enforce(profiles(profile("public", of("public", "disableinboundnotifications", "true"))))

    status = told["publicprofile_enablefirewall"]
    assert (status.state, status.code, status.effective) == (SettingState.ERROR, "notEffective", False)
    assert "Group Policy" in (status.reason or "")
    assert told["publicprofile_disableinboundnotifications"].effective is True


def test_a_group_policy_that_says_the_same_is_no_conflict(machine: FirewalledMachine) -> None:
    machine.firewall.precedence = ("groupPolicy", "mdm", "local")
    machine.windows.registry.fill(rf"{KEYS['groupPolicy']}\PublicProfile", {"EnableFirewall": RegistryValue.dword(1)})
    assert machine.enforce(profiles(profile("public")))["publicprofile_enablefirewall"].effective is True


def test_local_rules_count_only_where_they_are_merged(machine: FirewalledMachine) -> None:
    telnet_in = "v2.30|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=23|Name=Telnet|"
    machine.windows.registry.fill(rf"{LOCAL}\FirewallRules", {"Telnet-In": RegistryValue.text(telnet_in)})
    packet = Packet(incoming=True, local_port=23)
    assert machine.firewall.passes(packet)
    merging = {"AllowLocalPolicyMerge": RegistryValue.dword(0)}
    machine.windows.registry.fill(rf"{KEYS['groupPolicy']}\PublicProfile", merging)
    observed = machine.provider.observe(machine.host, {MERGE: f"{MERGE}_false"})
    assert observed[MERGE].effective is True
    assert not machine.firewall.passes(packet)
    assert machine.firewall.passes(Packet(incoming=True, local_port=23, profile="Domain"))


def test_a_rule_takes_effect_and_goes_again(machine: FirewalledMachine) -> None:
    before, packet = machine.contents(), Packet(remote_port=23)
    assert machine.firewall.passes(packet)
    status = machine.enforce(rules(TELNET))[RULES]
    assert (status.effective, status.code) == (True, "unconfirmed")
    assert not machine.firewall.passes(packet)
    machine.applier.release()
    assert machine.firewall.passes(packet)
    assert machine.contents() == before


def test_a_rule_that_is_switched_off_needs_not_be_in_effect(machine: FirewalledMachine) -> None:
    off = r.rule(p.choice(f"{r.RULES}_enabled", "_0"), r.BLOCK, name="Off")
    assert machine.enforce(rules(off))[RULES].state is SettingState.SUCCEEDED


def test_a_bad_rule_of_somebody_else_takes_ours_along_and_that_is_told(machine: FirewalledMachine) -> None:
    bad = RegistryValue.text("v2.30|Action=Allow|Dir=In|LPort=80|")  # a port without a protocol
    machine.windows.registry.fill(rf"{KEYS['mdm']}\FirewallRules", {"Theirs": bad})
    status = machine.enforce(rules(TELNET))[RULES]
    assert (status.state, status.effective) == (SettingState.ERROR, False)
    assert status.reason == "Windows has not taken Telnet. (notTaken)"
    assert machine.firewall.errors
    assert set(machine.firewall.errors) == {0x80070057}


def test_a_block_of_group_policy_beats_our_rule_and_that_is_told(machine: FirewalledMachine) -> None:
    block = "v2.30|Action=Block|Active=TRUE|Dir=In|Protocol=6|LPort=443|Name=No web|"
    machine.windows.registry.fill(rf"{KEYS['groupPolicy']}\FirewallRules", {"{1}": RegistryValue.text(block)})
    web = r.rule(r.ALLOW, r.IN, r.TCP, r.local_ports("443"), name="Web")
    status = machine.enforce(rules(web, r.rule(r.ALLOW, r.IN, r.TCP, r.local_ports("22"), name="Shell")))[RULES]
    assert status.state is SettingState.ERROR
    assert "Web by 'No web' of Group Policy" in (status.reason or "")
    assert "Shell" not in (status.reason or "")


@pytest.mark.parametrize(
    "block",
    [
        "v2.30|Action=Block|Active=FALSE|Dir=In|Protocol=6|LPort=443|",
        "v2.30|Action=Block|Active=TRUE|Dir=Out|Protocol=6|LPort=443|",
        "v2.30|Action=Block|Active=TRUE|Dir=In|Protocol=6|LPort=443|RA4=192.0.2.1|",
        "v2.30|Action=Block|Active=TRUE|Dir=In|Protocol=6|LPort=443|Profile=Domain|",
        "v2.30|Action=Block|Active=TRUE|Dir=In|Protocol=6|LPort=443|App=C:\\x.exe|",
        "v2.30|Action=Block|Active=TRUE|Dir=In|Protocol=6|LPort=443|IFType=Wireless|",
        "v2.30|Action=Block|Active=TRUE|Dir=In|Protocol=6|LPort=443|LUAuth=D:(A;;CC;;;S-1-5-84-0-0-0-0-0)|",
        "v2.30|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=443|",
    ],
)
def test_a_narrower_rule_of_others_is_no_contradiction(machine: FirewalledMachine, block: str) -> None:
    machine.windows.registry.fill(rf"{KEYS['groupPolicy']}\FirewallRules", {"{1}": RegistryValue.text(block)})
    web = r.rule(r.ALLOW, r.IN, r.TCP, r.local_ports("443"), name="Web")
    assert machine.enforce(rules(web))[RULES].effective is True


def test_a_firewall_that_does_not_run_has_nothing_in_effect(machine: FirewalledMachine) -> None:
    machine.firewall.running = False
    status = machine.enforce(rules(TELNET), profiles(profile("public")))[RULES]
    assert (status.state, status.effective) == (SettingState.ERROR, False)
    assert "0x80070426" in (status.reason or "")


def test_windows_is_asked_only_what_matters(machine: FirewalledMachine) -> None:
    """Each question starts a program, so nobody asks for the conditions of rules that contradict nothing."""
    asked: list[str] = []
    answer = machine.firewall.instances

    class Listening(PretendFirewall):
        def instances(self, class_name: str, options: Mapping[str, str]) -> Sequence[Properties]:
            asked.append(f"{class_name} {options['PolicyStore']}")
            return answer(class_name, options)

    listening = Listening(machine.windows.registry)
    machine.windows.cim.components = [
        listening if each is machine.firewall else each for each in machine.windows.cim.components
    ]
    machine.enforce(rules(TELNET), profiles(profile("public")))
    assert sorted(asked) == ["MSFT_NetFirewallProfile ActiveStore", "MSFT_NetFirewallRule ActiveStore"]


def test_where_powershell_may_not_ask_that_is_said_with_its_remedy(machine: FirewalledMachine) -> None:
    machine.enforce(rules(TELNET))
    machine.windows.cim.failure = LanguageModeError("Constrained Language Mode is on.")
    observed = machine.provider.observe(machine.host, {RULE_SETTING: (item(*TELNET),)})
    assert observed[RULE_SETTING].code == "constrainedLanguageMode"
    assert "App Control" in observed[RULE_SETTING].reason


def test_a_windows_that_may_not_be_asked_is_asked_once_a_minute(machine: FirewalledMachine) -> None:
    now, asked = [1000.0], []
    cim = machine.windows.cim
    cim.failure = LanguageModeError("PowerShell runs in ConstrainedLanguage mode here.")

    class Counting(PretendCim):
        def instances(self, namespace: str, class_name: str, **options: str) -> Sequence[Properties]:
            asked.append(class_name)
            return cim.instances(namespace, class_name, **options)

    provider = WindowsFirewallProvider(CATALOG, Counting(), clock=lambda: now[0])
    for _ in range(3):
        with pytest.raises(LanguageModeError):
            provider.support(machine.host, MERGE)
    assert len(asked) == 1
    cim.failure = None
    now[0] += 61
    support = provider.support(machine.host, RULE_SETTING)
    assert support is not None
    assert support.applicable


def test_where_powershell_is_constrained_every_setting_says_so(machine: FirewalledMachine) -> None:
    machine.windows.cim.failure = LanguageModeError("PowerShell runs in ConstrainedLanguage mode here.")
    told = machine.enforce(rules(TELNET), profiles(profile("public")))
    assert {(each.state, each.code) for each in told.values()} == {(SettingState.ERROR, "constrainedLanguageMode")}
    assert machine.host.read_file(MDM_STORE.path) is None


@pytest.mark.parametrize("setting", [RULES, "publicprofile_enablefirewall", "global_enableauditmode"])
def test_domain_controllers_get_no_firewall_policy(tmp_path: Path, setting: str) -> None:
    machine = FirewalledMachine(tmp_path, edition=DOMAIN_CONTROLLER)
    support = machine.provider.support(machine.host, SettingId(STORE + setting))
    assert support is not None
    assert (support.applicable, support.reason) == (False, "Firewall policies are not for domain controllers.")


def test_a_windows_that_is_too_old_says_so(tmp_path: Path) -> None:
    machine = FirewalledMachine(tmp_path, edition=replace(WINDOWS_11, version="10.0.19045"))
    told = machine.enforce(profiles(profile("public", of("public", "enablelogdroppedpackets", "true"))))
    status = told["publicprofile_enablelogdroppedpackets"]
    assert status.state is SettingState.NOT_APPLICABLE
    assert status.reason == "The setting needs Windows 10.0.22621 or later; this is 10.0.19045."
    assert told["publicprofile_enablefirewall"].effective is True


def test_what_somebody_changes_is_put_back(machine: FirewalledMachine) -> None:
    machine.enforce(rules(r.rule(r.ALLOW, r.IN, r.TCP, r.local_ports("443"), name="Web")))
    web = item(*r.rule(r.ALLOW, r.IN, r.TCP, r.local_ports("443"), name="Web"))
    other = RegistryValue.text("v2.10|Action=Block|Active=TRUE|Dir=In|")
    machine.windows.registry.fill(rf"{KEYS['mdm']}\FirewallRules", {id_of(web): other})
    report = machine.applier.refresh()
    assert [(status.state, status.code) for status in report.settings] == [(SettingState.SUCCEEDED, "repaired")]
    assert machine.windows.registry.value(rf"{KEYS['mdm']}\FirewallRules", id_of(web)) != other


def test_letting_go_gives_group_policys_own_values_back(tmp_path: Path) -> None:
    machine = FirewalledMachine(tmp_path, store=GROUP_POLICY_STORE)
    key = rf"{KEYS['groupPolicy']}\DomainProfile"
    machine.windows.registry.fill(key, {"EnableFirewall": RegistryValue.dword(0), "Other": RegistryValue.text("x")})
    before = machine.contents()
    machine.enforce(profiles(profile("domain")))
    assert machine.windows.registry.value(key, "EnableFirewall") == RegistryValue.dword(1)
    machine.applier.release()
    assert machine.contents() == before
