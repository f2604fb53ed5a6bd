"""Random policies over real packets: what an independent model says is what the kernel does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from tests.support.firewall_model import Model, Packet, Settings
from tests.support.firewall_policies import policies
from tests.support.namespaces import Namespace, NamespaceHost, joined_namespaces
from tests.support.probing import Fate, Probe, Prober, answering, prober

from shieldwall.agent.providers.base import Surroundings
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.contract.ids import SettingId

pytestmark = [pytest.mark.root, pytest.mark.nftables]

PROVIDER = NftablesProvider()
EXAMPLES = int(os.environ.get("SHIELDWALL_FIREWALL_EXAMPLES", "12"))
"""How many policies are tried; more of them for a long night."""
PORTS = (8000, 8001)
PATIENT_SECONDS = 2.0
EPHEMERAL = 40_000
"""A port as the kernel gives it to whoever asks for none; to the rules here all of them are the same."""
USERS = (0, 65_534)
_NUMBERS = {"tcp": 6, "udp": 17}


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


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=policies())
def test_what_the_model_says_is_what_happens_to_packets(scene: Scene, tmp_path: Path, policy: Settings) -> None:
    host = NamespaceHost(tmp_path, scene.device)
    held = _apply(host, policy)
    model = Model(settings=held, interface="cable", addresses=(scene.device.ipv4, scene.device.ipv6))

    for sender, probes in _probes(scene):
        wanted = [model.fate(_packet(probe, scene, inbound=sender is scene.inbound)) for probe in probes]
        fates = _patiently(sender, probes, wanted)
        differing = [seen for seen in zip(probes, fates, wanted, strict=True) if seen[1] != seen[2]]
        assert not differing, f"in the zone {model.zone}: {policy}"


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
        local_port=probe.port if inbound else EPHEMERAL,
        remote_port=EPHEMERAL if inbound else probe.port,
        kind=((128, 0) if six else (8, 0)) if probe.kind == "icmp" else (0, 0),
        user=0 if inbound else probe.user,
    )
