"""Special traffic in a zone: pings, answers to questions to many, forgeries, forwarding, old protocols."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.support.firewall_profiles import everywhere, zone
from tests.support.firewall_scene import ON, PORT, SERVER_PORT, Scene
from tests.support.firewall_traffic import (
    asks_many,
    behind,
    fetches_files,
    forged,
    offers_address,
    stray_reset,
)
from tests.support.firewalling import Firewall

from shieldwall.agent.providers.base import Surroundings

pytestmark = [pytest.mark.root, pytest.mark.nftables]


def test_pings_are_answered_or_not_and_only_so_many(firewall: Firewall, scene: Scene) -> None:
    firewall.enforce(zone("public", icmpecho="block", **ON))
    assert scene.pings(10) == 0

    firewall.enforce(zone("public", icmpecho="allow", **ON))
    assert scene.pings(10) == 10

    firewall.enforce(zone("public", icmpecho="allow", icmpechorate=4, **ON))
    assert 4 <= scene.pings(30) <= 8


@pytest.mark.parametrize("target", ["239.255.1.1", "10.99.0.255"])
@pytest.mark.parametrize(("allowed", "heard"), [("true", True), ("false", False)])
def test_answers_to_what_was_sent_to_many_come_in_where_allowed(
    firewall: Firewall, scene: Scene, allowed: str, target: str, *, heard: bool
) -> None:
    wanted = zone("public", allowunicastresponsestomulticastbroadcast=allowed, **ON)

    firewall.enforce(wanted)

    assert asks_many(scene.device, scene.other, target) is heard
    assert firewall.holds(wanted)


def test_packets_of_no_connection_are_dropped(firewall: Firewall, scene: Scene) -> None:
    open_wide = {"defaultinboundaction": "allow", "stealthmode": "true", **ON}

    firewall.enforce(zone("public", dropinvalidpackets="true", **open_wide))
    stray_reset(scene.other, scene.device)

    assert hits_of(firewall)["shieldwall invalid"] >= 1


@pytest.mark.parametrize(
    ("validation", "unreachable", "elsewhere"),
    [("off", "taken", "taken"), ("loose", "dropped", "taken"), ("strict", "dropped", "dropped")],
)
def test_source_addresses_are_validated(
    firewall: Firewall, scene: Scene, validation: str, unreachable: str, elsewhere: str
) -> None:
    scene.device.run("ip", "link", "add", "second", "type", "veth", "peer", "name", "third")
    scene.device.run("ip", "link", "set", "third", "up")
    scene.device.run("ip", "address", "add", "10.97.0.1/24", "dev", "second")
    scene.device.run("ip", "link", "set", "second", "up")
    try:
        firewall.enforce(zone("public", sourceaddressvalidation=validation, **ON))
        outcomes = []
        for sender in ("203.0.113.7", "10.97.0.9"):
            before = hits_of(firewall).get("shieldwall source", 0)
            forged(scene.other, scene.device, sender)
            dropped = hits_of(firewall).get("shieldwall source", 0) > before
            outcomes.append("dropped" if dropped else "taken")
    finally:
        scene.device.run("ip", "link", "delete", "second")

    assert outcomes == [unreachable, elsewhere]


def test_forwarded_traffic_is_left_alone_or_blocked(firewall: Firewall, scene: Scene) -> None:
    with behind(scene.device, scene.other, PORT) as reaches:
        firewall.enforce(zone("public", **ON))
        assert reaches()

        firewall.enforce({**zone("public", **ON), **everywhere(forwardedtraffic="block")})
        assert not reaches()

        firewall.let_go()
        assert reaches()


@pytest.mark.parametrize(("helpers", "gets"), [("true", True), ("false", False)])
def test_helpers_open_the_connections_that_old_protocols_ask_for(
    firewall: Firewall, scene: Scene, helpers: str, *, gets: bool
) -> None:
    wanted = {**zone("public", **ON), **everywhere(connectiontrackinghelpers=helpers)}

    firewall.enforce(wanted)

    assert firewall.holds(wanted)
    assert fetches_files(scene.device, scene.other) is gets


def test_addresses_and_neighbours_come_in_whatever_is_closed(firewall: Firewall, scene: Scene) -> None:
    firewall.surroundings = Surroundings(server_urls=(f"https://[{scene.other.ipv6}]:{SERVER_PORT}",))
    closed = {"shielded": "true", "defaultoutboundaction": "block", "allowestablished": "false"}

    firewall.enforce(zone("public", **closed, **ON))
    before = hits_of(firewall)
    for namespace in (scene.device, scene.other):
        namespace.run("ip", "neighbour", "flush", "all")
    offers_address(scene.other, scene.device)

    # An interface that just came up answers late, so the first knock may be in vain.
    assert any(scene.device.reaches(scene.other, SERVER_PORT, ipv6=True) for _ in range(3))
    after = hits_of(firewall)
    for name in ("addresses", "neighbours", "server"):
        assert after[f"shieldwall always {name}"] > before[f"shieldwall always {name}"], name


def hits_of(firewall: Firewall) -> Mapping[str, int]:
    return firewall.provider.hits(firewall.host)
