"""A change that can keep a device from its server is one that has to be confirmed. Always, and not without need."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.firewall_model import Model, Packet, Settings
from tests.support.firewall_policies import policies
from tests.support.firewall_profiles import everywhere, zone
from tests.support.firewall_rules import firewall_rule

from shieldwall.agent.providers.base import Desired, Files, RisksConnection
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.agent.providers.nftables.machine import Endpoint, Machine, plain
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.agent.providers.nftables.units import SCRIPT

PROVIDER = NftablesProvider()
NOTHING: Files = dict.fromkeys(PROVIDER.files())
DEVICE, SERVER = "10.99.0.1", "10.99.0.2"
ON = {"enablefirewall": "true"}


def files_of(desired: Desired, *endpoints: Endpoint, zones: dict[str, tuple[str, ...]] | None = None) -> Files:
    machine = Machine(endpoints=endpoints, zones=zones or {})
    return PROVIDER.render(NOTHING, desired, {"machine": plain(machine)}).files


def lives(desired: Desired, packet: Packet) -> bool:
    model = Model(settings=dict(desired), interface="cable", addresses=(DEVICE,))
    return model.fate(packet) == "accept"


@settings(max_examples=300, deadline=None)
@given(before=st.none() | policies(), after=policies(), data=st.data())
def test_whatever_takes_server_or_name_servers_away_may_cut_off(
    before: Settings | None, after: Settings, data: st.DataObject
) -> None:
    protocol, port = data.draw(st.sampled_from([(6, 8443), (17, 53), (6, 53)]))
    packet = Packet(
        inbound=False, protocol=protocol, local=DEVICE, remote=SERVER, local_port=40_000, remote_port=port, user=0
    )
    old = NOTHING if before is None else files_of(before)
    new = files_of(after)
    held_before, held_after = (PROVIDER.read(files) for files in (old, new))

    if (before is None or lives(held_before, packet)) and not lives(held_after, packet):
        assert PROVIDER.may_cut_off(old, new)


@given(policy=policies())
def test_putting_back_the_same_or_letting_go_never_does(policy: Settings) -> None:
    held, moved = files_of(policy), files_of(policy, zones={"trusted": ("eth5",)})

    assert not PROVIDER.may_cut_off(held, held)
    assert not PROVIDER.may_cut_off(held, NOTHING)
    assert not PROVIDER.may_cut_off(held, moved), "what the machine looks like is nobody's change"


SERVER_AT = Endpoint(port=8443, family="ip", address=SERVER)


@pytest.mark.parametrize(
    ("members", "risky"),
    [
        ({"direction": "in", "protocol": "tcp", "localports": ("22",)}, False),
        ({"direction": "in"}, False),
        ({"direction": "out", "protocol": "tcp", "remoteports": ("25",)}, True),
        ({"direction": "out", "protocol": "tcp", "remoteports": ("8443",)}, True),
        ({"direction": "out", "protocol": "tcp", "remoteports": ("8000-9000",), "remoteaddresses": (SERVER,)}, True),
        ({"direction": "out", "protocol": "tcp", "remoteports": ("8443",), "remoteaddresses": ("10.1.0.0/16",)}, True),
        ({"direction": "out", "protocol": "tcp", "remoteports": ("8443",), "remoteaddresses": ("fd00::/8",)}, True),
        ({"direction": "out", "protocol": "udp", "remoteports": ("53",)}, True),
        ({"direction": "out", "protocol": "udp", "remoteports": ("123",)}, True),
        ({"direction": "out", "remoteaddresses": ("10.1.0.0/16",)}, True),
        ({"direction": "out", "protocol": "icmp"}, False),
        ({"direction": "out", "protocolnumber": 47}, True),
        ({"direction": "out", "protocol": "tcp", "remoteports": ("8443",), "action": "allow"}, False),
        ({"direction": "out", "protocol": "tcp", "remoteports": ("8443",), "enabled": "0"}, False),
        ({"direction": "out", "protocol": "tcp", "remoteports": ("8443",), "zones": ("trusted",)}, False),
    ],
)
def test_a_rule_is_a_risk_where_the_way_to_the_server_may_lead_through_it(
    members: dict[str, Any], *, risky: bool
) -> None:
    after = files_of({FIREWALL_RULES: (firewall_rule(**members),)}, SERVER_AT)

    assert PROVIDER.may_cut_off(NOTHING, after) is risky
    assert PROVIDER.may_cut_off(files_of({FIREWALL_RULES: ()}, SERVER_AT), after) is risky


@pytest.mark.parametrize(
    ("before", "after", "risky"),
    [
        ({}, zone("public", **ON), True),
        (zone("public", **ON), zone("public", defaultoutboundaction="block", **ON), True),
        (zone("public", **ON), zone("public", defaultinboundaction="allow", **ON), False),
        (zone("public", **ON), zone("public", shielded="true", **ON), True),
        (zone("public", **ON), zone("public", enablelogdroppedpackets="true", icmpecho="block", **ON), False),
        (zone("public", **ON), zone("public", enablefirewall="false"), False),
        (zone("public", **ON), zone("public", allowestablished="false", **ON), True),
        (zone("public", **ON), {**zone("public", **ON), **everywhere(confirmseconds=30)}, False),
        (zone("public", **ON), {**zone("public", **ON), **everywhere(forwardedtraffic="block")}, False),
        ({}, {**zone("public", defaultoutboundaction="block", **ON), **everywhere(enableauditmode="true")}, False),
        (
            {**zone("public", **ON), **everywhere(enableauditmode="true")},
            {**zone("public", **ON), **everywhere(enableauditmode="false")},
            True,
        ),
        (
            {**zone("public", **ON), **zone("trusted", interfaces=("eth0",), enablefirewall="false")},
            {**zone("public", **ON), **zone("trusted", interfaces=("eth1",), enablefirewall="false")},
            True,
        ),
    ],
)
def test_a_profile_is_a_risk_where_it_stops_more_than_before(before: Desired, after: Desired, *, risky: bool) -> None:
    assert PROVIDER.may_cut_off(files_of(before) if before else NOTHING, files_of(after)) is risky


def test_taking_away_what_a_closed_device_lives_by_is_a_risk() -> None:
    closed = zone("public", defaultoutboundaction="block", **ON)
    names = firewall_rule("names", action="allow", direction="out", protocol="udp", remoteports=("53",))
    with_names, without = {**closed, FIREWALL_RULES: (names,)}, {**closed, FIREWALL_RULES: ()}

    assert PROVIDER.may_cut_off(files_of(with_names), files_of(without))
    assert not PROVIDER.may_cut_off(files_of(without), files_of(with_names))


def test_the_engine_is_told_that_this_provider_risks_the_connection() -> None:
    assert isinstance(PROVIDER, RisksConnection)
    assert not PROVIDER.may_cut_off({SCRIPT: b"flush ruleset"}, {SCRIPT: b"flush ruleset"})
