"""Which packets prove which settings, held against a model of policies that shares no code with the provider."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.firewall_model import Model, Settings
from tests.support.firewall_model import Packet as Modelled
from tests.support.firewall_policies import policies
from tests.support.firewall_profiles import everywhere, firewalls, zone
from tests.support.firewall_rules import firewall_rule
from tests.support.firewall_rules import rules as any_rule

from shieldwall.agent.firewall_probe.device import DEVICE
from shieldwall.agent.firewall_probe.packets import Kind, Packet
from shieldwall.agent.providers.base import Desired
from shieldwall.agent.providers.nftables.asking import asked_for
from shieldwall.agent.providers.nftables.machine import Machine, Service
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.agent.providers.nftables.script import Asked
from shieldwall.agent.providers.nftables.trials import SOURCE, Trial, is_provable, trials_of, zone_of_device
from shieldwall.agent.providers.nftables.walking import decided
from shieldwall.agent.providers.nftables.zones import AUDIT_MODE

LOCAL = int(ip_address("10.99.0.1"))
ON = {"enablefirewall": "true"}
LINES = {"accept": "accept", "drop": "drop", "reject": "reject", "reject with tcp reset": "reject"}


def asked(desired: Desired, machine: Machine | None = None) -> Asked:
    return asked_for(desired, machine or Machine())[0]


def trials(desired: Desired) -> tuple[Trial, ...]:
    return trials_of(asked(desired), LOCAL, 40_000)


def modelled(packet: Packet) -> Modelled:
    ping = packet.kind == "echo"
    return Modelled(
        inbound=True,
        protocol=packet.protocol,
        local=str(ip_address(packet.destination)),
        remote=str(ip_address(packet.source)),
        local_port=packet.destination_port,
        remote_port=0 if ping else packet.source_port,
        kind=(8, 0) if ping else (0, 0),
    )


@given(
    policy=policies(),
    kind=st.sampled_from(["tcp", "echo"]),
    port=st.sampled_from([8000, 8001, 9, 53, 47_613]),
    source=st.sampled_from([SOURCE, int(ip_address("10.99.0.2"))]),
)
def test_the_line_that_decides_does_what_the_model_says(policy: Settings, kind: Kind, port: int, source: int) -> None:
    made = asked(policy)
    packet = Packet(kind=kind, source=source, destination=LOCAL, source_port=40_000, destination_port=port)

    found = decided(made.table(), packet, "cable")

    verdict = "accept" if found is None else LINES[found.line.verdict]
    assert verdict == Model(settings=dict(made.desired), interface="cable", addresses=()).verdict(modelled(packet))


@given(policy=policies())
def test_a_trial_expects_what_the_model_says(policy: Settings) -> None:
    made = asked(policy)
    model = Model(settings=dict(made.desired), interface=DEVICE, addresses=())

    for trial in trials_of(made, LOCAL, 40_000):
        assert all(map(is_provable, trial.proves))
        if trial.packet.kind != "stray":
            assert LINES[trial.expected.line.verdict] == model.verdict(modelled(trial.packet))


@given(desired=firewalls(any_rule()))
def test_no_policy_breaks_the_choice_and_no_packet_is_sent_twice(desired: Desired) -> None:
    made = asked(desired)
    chosen = trials_of(made, LOCAL, 40_000)

    assert len({trial.packet for trial in chosen}) == len(chosen) <= 19
    assert all(trial.proves and trial.packet.source == SOURCE for trial in chosen)
    rules = [trial.rule for trial in chosen if trial.rule]
    assert len(set(rules)) == len(rules)


def test_a_closed_zone_is_proven_by_a_knock_a_ping_and_a_stray_packet() -> None:
    knock, ping, stray = trials(zone("public", **ON))

    assert knock.proves == set(zone("public", enablefirewall="", defaultinboundaction="", stealthmode=""))
    assert (knock.packet.kind, knock.opens, knock.refuses) == ("tcp", False, False)
    assert ping.proves == set(zone("public", icmpecho=""))
    assert ping.opens
    assert stray.proves == set(zone("public", dropinvalidpackets=""))


@pytest.mark.parametrize(
    ("members", "proven", "opens"),
    [
        ({"shielded": "true", "dropinvalidpackets": "false"}, {"enablefirewall", "shielded", "stealthmode"}, False),
        ({"defaultinboundaction": "allow"}, {"enablefirewall", "defaultinboundaction"}, True),
        ({"enablefirewall": "false"}, {"enablefirewall"}, True),
    ],
)
def test_what_a_knock_proves_depends_on_what_decides_on_it(
    members: dict[str, str], proven: set[str], *, opens: bool
) -> None:
    knock = trials(zone("public", **{**ON, **members}))[0]

    assert knock.proves == set(zone("public", **dict.fromkeys(proven, "")))
    assert knock.opens is opens


def test_in_audit_mode_what_would_be_stopped_has_to_pass() -> None:
    knock = trials({**zone("public", **ON), **everywhere(enableauditmode="true")})[0]

    assert AUDIT_MODE in knock.proves
    assert knock.opens


def test_audit_mode_is_not_proven_by_what_would_pass_anyway() -> None:
    knock = trials({**zone("public", defaultinboundaction="allow", **ON), **everywhere(enableauditmode="true")})[0]

    assert AUDIT_MODE not in knock.proves


def test_where_it_depends_on_who_listens_or_how_many_came_before_nothing_is_tried() -> None:
    machine = Machine(services={"nginx.service": Service(path="system.slice/nginx.service", inode=7)})
    service = firewall_rule("nginx", servicename="nginx.service", protocol="tcp")
    wanted = {**zone("public", icmpechorate=5, **ON), FIREWALL_RULES: (service,)}

    chosen = trials_of(asked(wanted, machine), LOCAL, 40_000)

    assert [trial.packet.kind for trial in chosen] == ["stray"]


def test_a_rule_that_two_policies_have_is_tried_once() -> None:
    rule = firewall_rule("twice", protocol="tcp", localports=("8000",), remoteports=("1024",))

    assert len(trials({FIREWALL_RULES: (rule, rule)})) == 1


def test_a_rule_is_tried_where_it_decides_and_nowhere_else() -> None:
    block = firewall_rule("block", protocol="tcp", localports=("8000-8100",))
    inside = firewall_rule("allow inside", action="allow", protocol="tcp", localports=("8000-8200",))
    hidden = firewall_rule("hidden", action="allow", protocol="tcp", localports=("8050",))
    elsewhere = firewall_rule("elsewhere", action="allow", protocol="tcp", remoteaddresses=("10.0.0.0/8",))
    datagrams = firewall_rule("datagrams", protocol="udp")
    outward = firewall_rule("outward", direction="out", protocol="tcp", remoteports=("25",))

    rules = (block, inside, hidden, elsewhere, datagrams, outward)
    tried = [trial for trial in trials({FIREWALL_RULES: rules}) if trial.rule]

    assert [(trial.packet.destination_port, trial.opens) for trial in tried] == [(8000, False), (8200, True)]


def test_rules_that_no_packet_can_meet_keep_no_other_from_being_tried() -> None:
    far = tuple(
        firewall_rule(
            f"far {port}", protocol="tcp", localports=(str(port),), remoteaddresses=("10.0.0.0/8", "fd00::/8")
        )
        for port in range(1, 101)
    )
    near = tuple(firewall_rule(f"near {port}", protocol="tcp", localports=(str(port),)) for port in range(101, 131))

    tried = [trial for trial in trials({FIREWALL_RULES: (*far, *near)}) if trial.rule]

    assert [trial.packet.destination_port for trial in tried] == list(range(101, 117)), "sixteen, and no more"


def test_the_device_is_where_its_name_puts_it() -> None:
    named = {**zone("public", **ON), **zone("trusted", interfaces=("shield*",), enablefirewall="false")}

    assert zone_of_device(asked(zone("public", **ON))) == "public"
    assert zone_of_device(asked(named)) == "trusted"
    (knock,) = trials(named)
    assert knock.proves == set(zone("trusted", enablefirewall=""))


def test_of_two_probes_no_packet_belongs_to_the_same_connection() -> None:
    policy = asked(zone("public", **ON))

    first, second = ({trial.packet for trial in trials_of(policy, LOCAL, port)} for port in (40_000, 40_100))

    assert not first & second
