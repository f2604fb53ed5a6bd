"""A change that could cut the device off is on probation; held to a firewall that lets packets through or does not."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support import policies as p
from tests.support import windows_firewall_rules as r
from tests.support.windows_firewall import (
    CATALOG,
    RULE_SETTING,
    STORE,
    FirewalledMachine,
    item,
    items,
    of,
    profile,
    profiles,
    rules,
)

from shieldwall.agent.host.registry import RegistryValue, decode, encode
from shieldwall.agent.providers.base import Desired, Files
from shieldwall.agent.providers.windows_firewall import MDM_STORE, WindowsFirewallProvider
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import SettingInstance
from shieldwall.contract.status import SettingState
from shieldwall.testing.windows.cim import PretendCim
from shieldwall.testing.windows.firewall import KEYS, PretendFirewall
from shieldwall.testing.windows.firewall_rules import Packet
from shieldwall.testing.windows.registry import PretendRegistry

PROVIDER: Final = WindowsFirewallProvider(CATALOG, PretendCim())
OUTBOUND: Final = SettingId(f"{STORE}publicprofile_defaultoutboundaction")
RULES: Final = "firewallrules_{firewallrulename}"
NOTHING: Final[Files] = {MDM_STORE.path: None}
TO_SERVER: Final = Packet()
ICMP_6: Final = p.number(f"{r.RULES}_protocol", 58)
"""By which devices with IPv6 find each other and their router."""


def files(desired: Desired, before: Files = NOTHING) -> Files:
    return PROVIDER.render(before, desired, {}).files


def of_rules(*members: SettingInstance) -> Desired:
    return {RULE_SETTING: (item(*members),)}


@pytest.mark.parametrize(
    "desired",
    [
        {OUTBOUND: f"{OUTBOUND}_1"},
        {SettingId(f"{STORE}domainprofile_enablefirewall"): f"{STORE}domainprofile_enablefirewall_true"},
        {SettingId(f"{STORE}domainprofile_shielded"): f"{STORE}domainprofile_shielded_true"},
        {
            SettingId(
                f"{STORE}privateprofile_allowlocalpolicymerge"
            ): f"{STORE}privateprofile_allowlocalpolicymerge_false"
        },
        {SettingId(f"{STORE}global_presharedkeyencoding"): f"{STORE}global_presharedkeyencoding_1"},
        of_rules(r.BLOCK, r.OUT, r.TCP, r.remote_ports("443")),
        of_rules(r.BLOCK),
        of_rules(r.BLOCK, r.OUT, ICMP_6),
        of_rules(r.BLOCK, r.IN, ICMP_6),
        of_rules(r.BLOCK, r.IN),
    ],
)
def test_what_can_stop_connections_may_cut_off(desired: Desired) -> None:
    after = files(desired)
    assert PROVIDER.may_cut_off(NOTHING, after)
    assert not PROVIDER.may_cut_off(after, after)


@pytest.mark.parametrize(
    "desired",
    [
        {OUTBOUND: f"{OUTBOUND}_0"},
        {
            SettingId(
                f"{STORE}publicprofile_enablelogdroppedpackets"
            ): f"{STORE}publicprofile_enablelogdroppedpackets_true"
        },
        of_rules(r.BLOCK, r.IN, r.TCP, r.local_ports("23")),
        of_rules(r.ALLOW, r.TCP, r.remote_ports("443")),
        of_rules(r.BLOCK, r.OUT, r.ICMP),
        of_rules(r.BLOCK, r.OUT, p.choice(f"{r.RULES}_enabled", "_0")),
        {RULE_SETTING: ()},
    ],
)
def test_what_cannot_does_not(desired: Desired) -> None:
    assert not PROVIDER.may_cut_off(NOTHING, files(desired))


def test_taking_away_what_let_the_device_out_may_cut_off_unless_everything_is_let_out() -> None:
    opening = of_rules(r.ALLOW, r.OUT, r.TCP, r.remote_ports("443"))
    assert PROVIDER.may_cut_off(files(opening), files({RULE_SETTING: ()}))
    open_to_all: Desired = {
        SettingId(f"{STORE}{name}profile_defaultoutboundaction"): f"{STORE}{name}profile_defaultoutboundaction_0"
        for name in ("domain", "private", "public")
    }
    assert not PROVIDER.may_cut_off(files({**opening, **open_to_all}), files({RULE_SETTING: (), **open_to_all}))


@pytest.mark.parametrize(
    ("name", "opens", "closes"),
    [
        ("defaultoutboundaction", "0", "1"),
        ("enablefirewall", "false", "true"),
        ("shielded", "false", "true"),
        ("allowlocalipsecpolicymerge", "true", "false"),
    ],
)
def test_letting_go_of_what_held_a_local_block_back_may_cut_off(name: str, opens: str, closes: str) -> None:
    """What another store says then holds, and that is not known here."""
    setting = SettingId(f"{STORE}publicprofile_{name}")
    open_, closed = (files({setting: f"{setting}_{each}"}) for each in (opens, closes))
    assert PROVIDER.may_cut_off(open_, NOTHING)
    assert not PROVIDER.may_cut_off(closed, NOTHING)
    assert not PROVIDER.may_cut_off(NOTHING, open_)


def test_another_name_is_no_other_rule() -> None:
    def named(name: str) -> Files:
        return files({RULE_SETTING: (item(*r.rule(r.BLOCK, r.TCP, name=name)),)})

    assert not PROVIDER.may_cut_off(named("One"), named("Other"))


def test_what_others_wrote_in_a_way_that_is_not_ours_may_say_anything() -> None:
    def foreign(text: str) -> Files:
        return {MDM_STORE.path: encode({"": {}, "FirewallRules": {"x": RegistryValue.text(text)}})}

    allowing = "v2.30|Action=Allow|Active=TRUE|Dir=Out|PFN=a|"
    assert PROVIDER.may_cut_off(NOTHING, foreign(allowing))
    assert PROVIDER.may_cut_off(foreign(allowing), NOTHING)
    assert not PROVIDER.may_cut_off(foreign(allowing), foreign(allowing))


def reaches_server(found: Files) -> bool:
    registry = PretendRegistry()
    content = found.get(MDM_STORE.path)
    for below, values in ({} if content is None else decode(content)).items():
        registry.fill(f"{KEYS['mdm']}\\{below}".rstrip("\\"), values)
    return PretendFirewall(registry).passes(TO_SERVER)


_SETTINGS: Final = st.fixed_dictionaries(
    {},
    optional={
        SettingId(f"{STORE}publicprofile_{name}"): st.sampled_from(
            [f"{STORE}publicprofile_{name}_{suffix}" for suffix in suffixes]
        )
        for name, suffixes in {
            "defaultoutboundaction": ("0", "1"),
            "enablefirewall": ("true", "false"),
            "shielded": ("true", "false"),
            "disableinboundnotifications": ("true", "false"),
        }.items()
    },
)
_DESIRED: Final = st.tuples(_SETTINGS, st.lists(items(), max_size=4, unique=True).map(tuple)).map(
    lambda both: {**both[0], RULE_SETTING: both[1]}
)


@given(_DESIRED, _DESIRED)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_change_that_ends_the_way_to_the_server_was_called_one(first: Desired, second: Desired) -> None:
    """Whatever an independent firewall lets through before and not after was announced."""
    before, after = files(first), files(second)
    if reaches_server(before) and not reaches_server(after):
        assert PROVIDER.may_cut_off(before, after)


def test_a_block_of_everything_goes_back_unless_it_is_confirmed(tmp_path: Path) -> None:
    machine = FirewalledMachine(tmp_path)
    cutting = profiles(profile("public", of("public", "defaultoutboundaction", "1")))
    told = machine.enforce(cutting)
    assert {status.state for status in told.values()} == {SettingState.PENDING}
    assert not machine.firewall.passes(TO_SERVER)
    window = machine.applier.unconfirmed()
    assert window is not None

    machine.uptime.pass_by(100_000)
    machine.applier.revert_if_due()
    assert machine.firewall.passes(TO_SERVER)
    report = machine.applier.refresh()
    assert {status.code for status in report.settings} == {"connectivityRollback"}


def test_a_confirmed_block_stays_with_the_rule_that_lets_the_agent_out(tmp_path: Path) -> None:
    machine = FirewalledMachine(tmp_path)
    machine.enforce(
        profiles(profile("public", of("public", "defaultoutboundaction", "1"))),
        rules(r.rule(r.ALLOW, r.OUT, r.TCP, r.remote_ports("443"), name="Server")),
    )
    window = machine.applier.unconfirmed()
    assert window is not None
    assert machine.firewall.passes(TO_SERVER)
    machine.applier.confirm(window.nonce)
    report = machine.applier.refresh()
    assert {status.state for status in report.settings} == {SettingState.SUCCEEDED}
    assert not machine.firewall.passes(Packet(remote_port=80))
