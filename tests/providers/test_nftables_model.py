"""Random policies over real packets: what an independent model says is what the kernel does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.firewall_model import Model, Packet, Settings
from tests.support.firewall_profiles import everywhere, zone
from tests.support.firewall_rules import firewall_rule
from tests.support.namespaces import Namespace, NamespaceHost, joined_namespaces
from tests.support.probing import Fate, Probe, Prober, answering, prober

from shieldwall.agent.providers.base import Surroundings
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import SettingValue

pytestmark = [pytest.mark.root, pytest.mark.nftables]

PROVIDER = NftablesProvider()
EXAMPLES = int(os.environ.get("SHIELDWALL_FIREWALL_EXAMPLES", "12"))
"""How many policies are tried; more of them for a long night."""
PORTS = (8000, 8001)
PATIENT_SECONDS = 2.0
USERS = (0, 65_534)
_NUMBERS = {"tcp": 6, "udp": 17}
_BOOLEAN = st.sampled_from(["false", "true"])
_DEFAULT = st.sampled_from(["allow", "block"])


@dataclass(frozen=True)
class Scene:
    """Two machines that can talk in every way."""

    device: Namespace
    other: Namespace
    inbound: Prober
    outbound: Prober


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with joined_namespaces() as (device, other), ExitStack() as stack:
        stack.enter_context(answering(device, PORTS))
        stack.enter_context(answering(other, PORTS))
        yield Scene(device, other, stack.enter_context(prober(other)), stack.enter_context(prober(device)))


@st.composite
def policies(draw: st.DrawFn) -> Settings:
    """Policies about the one interface there is, all of which can be expressed."""
    policy: Settings = everywhere(enableauditmode=draw(st.sampled_from(["false"] * 7 + ["true"])))
    for name in ("trusted", "internal", "public"):
        members: dict[str, Any] = draw(
            st.fixed_dictionaries(
                {"enablefirewall": st.sampled_from(["true", "true", "true", "false"])},
                optional={
                    "shielded": st.sampled_from(["false", "false", "true"]),
                    "defaultinboundaction": _DEFAULT,
                    "defaultoutboundaction": _DEFAULT,
                    "allowestablished": st.sampled_from(["true", "true", "false"]),
                    "stealthmode": _BOOLEAN,
                    "icmpecho": _DEFAULT,
                    "dropinvalidpackets": _BOOLEAN,
                    "sourceaddressvalidation": st.sampled_from(["off", "loose", "strict"]),
                    "enablelogdroppedpackets": _BOOLEAN,
                    "interfaces": st.sampled_from([("cable",), ("cab*",), ("eth7",)]),
                    "networks": st.sampled_from([("10.99.0.0/24",), ("fd00::/8", "192.0.2.1"), ("10.98.0.0/16",)]),
                },
            )
        )
        policy |= draw(st.sampled_from([{}, zone(name, **members), zone(name, **members)]))
    rules = draw(st.lists(single_rules(), max_size=5, unique=True))
    return policy | {FIREWALL_RULES: tuple(rules)}


@st.composite
def single_rules(draw: st.DrawFn) -> SettingValue:
    """Rules that some of the probes meet and others do not."""
    protocol = draw(st.sampled_from(["any", "tcp", "udp", "icmp"]))
    direction = draw(st.sampled_from(["in", "out"]))
    ends = st.lists(
        st.sampled_from(
            ["10.99.0.1", "10.99.0.2", "10.99.0.0/30", "fd00:99::/64", "fd00:99::1-fd00:99::2", "10.0.0.1"]
        ),
        min_size=1,
        max_size=2,
        unique=True,
    ).map(tuple)
    ports = st.sampled_from([("8000",), ("8001",), ("7000-8000", "8002"), ("1-65535",), ("9",)])
    optional: dict[str, st.SearchStrategy[Any]] = {
        "remoteaddresses": ends,
        "localaddresses": ends,
        "zones": st.sampled_from([("public",), ("trusted", "internal"), ("trusted", "internal", "public")]),
        "interfaces": st.sampled_from([("cable",), ("cab*", "eth9"), ("eth9",)]),
        "log": _BOOLEAN,
        "enabled": st.sampled_from(["1", "1", "0"]),
    }
    if protocol in _NUMBERS:
        optional |= {"localports" if direction == "in" else "remoteports": ports}
    if protocol == "icmp":
        optional |= {"icmptypes": st.sampled_from([("8:0",), ("8:*", "128:0"), ("3:*",), ("*",), ("128:*", "129:*")])}
    if protocol == "any":
        optional |= {"protocolnumber": st.sampled_from([6, 17, 1, 58, 47])}
    if direction == "out":
        optional |= {"users": st.sampled_from([("0",), ("65534",), ("0", "65534")])}
    members = draw(st.fixed_dictionaries({"action": st.sampled_from(["block", "allow"])}, optional=optional))
    return firewall_rule(f"rule {draw(st.integers(0, 9))}", protocol=protocol, direction=direction, **members)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=policies())
def test_what_the_model_says_is_what_happens_to_packets(scene: Scene, tmp_path: Path, policy: Settings) -> None:
    host = NamespaceHost(tmp_path, scene.device)
    held = _apply(host, policy)
    model = Model(settings=held, interface="cable", addresses=(scene.device.ipv4, scene.device.ipv6))

    for sender, probes in _probes(scene):
        wanted = [model.fate(_packet(probe, scene, inbound=sender is scene.inbound)) for probe in probes]
        fates = _patiently(sender, probes, wanted)
        assert dict(zip(probes, fates, strict=True)) == dict(zip(probes, wanted, strict=True)), model.zone


def _apply(host: NamespaceHost, policy: Settings) -> Settings:
    """Enforce a policy; return what of it could be."""
    kept = PROVIDER.survey(host, policy, Surroundings())
    rendered = PROVIDER.render({path: host.read_file(path) for path in PROVIDER.files()}, policy, kept)
    for path, content in rendered.files.items():
        host.write_file(path, content)
    PROVIDER.activate(host)
    held = dict(PROVIDER.read(rendered.files))
    assert all(seen.effective is not False for seen in PROVIDER.observe(host, held).values())
    rules, refused = policy[FIREWALL_RULES], rendered.rejected.get(SettingId(FIREWALL_RULES), ())
    assert isinstance(rules, tuple)
    assert {status.code for status in refused} <= {"addressFamiliesDiffer", "wouldCutOffDevice"}
    return held


def _probes(scene: Scene) -> Iterator[tuple[Prober, list[Probe]]]:
    for sender, target, users in ((scene.inbound, scene.device, (0,)), (scene.outbound, scene.other, USERS)):
        yield (
            sender,
            [
                probe
                for user in users
                for address in (target.ipv4, target.ipv6)
                for probe in (
                    *(Probe("tcp", address, port, user) for port in PORTS),
                    *(Probe("udp", address, port, user) for port in PORTS),
                    Probe("icmp", address, user=user),
                )
            ],
        )


def _patiently(sender: Prober, probes: list[Probe], wanted: list[Fate]) -> list[Fate]:
    """Wait longer where the machine may only have been busy."""
    fates = sender.send(probes)
    late = [number for number, fate in enumerate(fates) if fate != wanted[number]]
    for number, fate in zip(late, sender.send([probes[n] for n in late], seconds=PATIENT_SECONDS), strict=True):
        fates[number] = fate
    return fates


def _packet(probe: Probe, scene: Scene, *, inbound: bool) -> Packet:
    six = ":" in probe.address
    device, other = (scene.device.ipv6, scene.other.ipv6) if six else (scene.device.ipv4, scene.other.ipv4)
    return Packet(
        inbound=inbound,
        protocol=_NUMBERS.get(probe.kind, 58 if six else 1),
        local=device,
        remote=other,
        local_port=probe.port if inbound else 0,
        remote_port=0 if inbound else probe.port,
        kind=((128, 0) if six else (8, 0)) if probe.kind == "icmp" else (0, 0),
        user=0 if inbound else probe.user,
    )
