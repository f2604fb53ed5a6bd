"""Zones over real packets: what each setting of the profile does to traffic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

import pytest
from tests.support.firewall_profiles import everywhere, zone
from tests.support.firewall_rules import firewall_rule
from tests.support.firewall_scene import ON, OTHER_PORT, PORT, SERVER_PORT, Scene
from tests.support.firewall_traffic import (
    conversation,
    pings_of_one,
)
from tests.support.firewalling import Firewall
from tests.support.probing import Fate

from shieldwall.agent.providers.base import Desired, Surroundings
from shieldwall.agent.providers.nftables import nft
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.agent.providers.nftables.units import SCRIPT

pytestmark = [pytest.mark.root, pytest.mark.nftables]


def allowing(port: int) -> Desired:
    return {FIREWALL_RULES: (firewall_rule("open", action="allow", protocol="tcp", localports=(str(port),)),)}


def test_a_zone_that_is_switched_on_lets_in_only_what_a_rule_allows(firewall: Firewall, scene: Scene) -> None:
    wanted = {**zone("public", **ON), **allowing(OTHER_PORT)}

    firewall.enforce(wanted)

    assert firewall.holds(wanted)
    assert (scene.arriving(), scene.arriving(port=OTHER_PORT)) == ("drop", "accept")
    assert (scene.leaving(), scene.leaving("udp")) == ("accept", "accept")
    assert scene.arriving("icmp") == "accept"


@pytest.mark.parametrize("ipv6", [False, True])
def test_without_stealth_mode_the_sender_is_told(firewall: Firewall, scene: Scene, *, ipv6: bool) -> None:
    firewall.enforce(zone("public", stealthmode="false", **ON))
    assert scene.arriving(ipv6=ipv6) == "reject"
    assert scene.arriving("udp", ipv6=ipv6) == "reject"

    firewall.enforce(zone("public", stealthmode="true", **ON))
    assert scene.arriving(ipv6=ipv6) == "drop"
    assert scene.arriving("udp", ipv6=ipv6) == "drop"


def test_an_interface_is_in_the_zone_that_its_name_or_its_own_address_says(firewall: Firewall, scene: Scene) -> None:
    closed, opened = zone("public", **ON), zone("trusted", enablefirewall="false")
    by_name, by_network = zone("trusted", interfaces=("cab*",)), zone("trusted", networks=("10.99.0.0/24",))
    elsewhere = zone("trusted", networks=("10.98.0.0/24", "192.0.2.0/24"))

    fates: list[Fate] = []
    for members in (by_name, by_network, elsewhere, {**by_network, **zone("internal", interfaces=("cable",), **ON)}):
        firewall.enforce({**closed, **opened, **members})
        fates.append(scene.arriving())

    assert fates == ["accept", "accept", "drop", "drop"], "a name beats an address"


def test_of_two_zones_that_name_an_interface_the_stricter_has_it(firewall: Firewall, scene: Scene) -> None:
    firewall.enforce(
        {
            **zone("trusted", interfaces=("cable",), enablefirewall="false"),
            **zone("public", interfaces=("cable",), **ON),
        }
    )

    assert scene.arriving() == "drop"


def test_shielded_nothing_comes_in_and_answers_still_do(firewall: Firewall, scene: Scene) -> None:
    firewall.enforce({**zone("public", shielded="true", **ON), **allowing(PORT)})

    assert (scene.arriving(), scene.arriving("icmp"), scene.arriving("udp")) == ("drop", "drop", "drop")
    assert (scene.leaving(), scene.leaving("icmp")) == ("accept", "accept")


def test_shielding_ends_connections_that_others_opened_and_keeps_those_of_the_device(
    firewall: Firewall, scene: Scene
) -> None:
    firewall.enforce({**zone("public", defaultinboundaction="allow", **ON)})
    with conversation(scene.other, scene.device) as theirs, conversation(scene.device, scene.other) as ours:
        assert theirs.echoed()
        assert ours.echoed()

        firewall.enforce(zone("public", shielded="true", **ON))

        assert not theirs.echoed()
        assert ours.echoed()


def test_without_established_a_new_block_ends_what_is_open(firewall: Firewall, scene: Scene) -> None:
    firewall.enforce(zone("public", defaultinboundaction="allow", **ON))
    with conversation(scene.other, scene.device) as theirs:
        assert theirs.echoed()

        firewall.enforce(zone("public", defaultinboundaction="block", allowestablished="true", **ON))
        assert theirs.echoed()

        firewall.enforce(zone("public", defaultinboundaction="block", allowestablished="false", **ON))
        assert not theirs.echoed()


def test_a_blocked_default_for_what_leaves_needs_rules(firewall: Firewall, scene: Scene) -> None:
    rule = firewall_rule("out", action="allow", direction="out", protocol="tcp", remoteports=(str(OTHER_PORT),))

    firewall.enforce({**zone("public", defaultoutboundaction="block", **ON), FIREWALL_RULES: (rule,)})

    assert (scene.leaving(), scene.leaving(port=OTHER_PORT), scene.leaving("udp")) == ("drop", "accept", "drop")


def test_the_server_stays_reachable_whatever_is_blocked(firewall: Firewall, scene: Scene) -> None:
    block = firewall_rule(
        "all", direction="out", protocol="tcp", remoteports=("1-9000",), remoteaddresses=("10.0.0.0/8",)
    )
    strictest = zone("public", defaultoutboundaction="block", allowestablished="false", shielded="true", **ON)
    wanted = {**strictest, FIREWALL_RULES: (block,)}

    firewall.enforce(wanted)
    assert scene.leaving(port=SERVER_PORT) == "drop"

    firewall.surroundings = Surroundings(server_urls=(f"https://{scene.other.ipv4}:{SERVER_PORT}",))
    firewall.enforce(wanted)

    assert firewall.holds(wanted)
    assert (scene.leaving(port=SERVER_PORT), scene.leaving(port=PORT)) == ("accept", "drop")
    assert scene.arriving(port=SERVER_PORT) == "drop", "the way to the server is no way in"


def test_a_server_known_by_name_is_reachable_for_the_agent_alone(firewall: Firewall, scene: Scene) -> None:
    firewall.surroundings = Surroundings(server_urls=(f"https://shieldwall.example:{SERVER_PORT}",))

    firewall.enforce(zone("public", defaultoutboundaction="block", **ON))

    assert (scene.leaving(port=SERVER_PORT), scene.leaving(port=SERVER_PORT, user=65_534)) == ("accept", "drop")


def test_the_rate_of_pings_holds_within_oneconversation(firewall: Firewall, scene: Scene) -> None:
    firewall.enforce(zone("public", icmpechorate=3, **ON))

    assert 3 <= pings_of_one(scene.other, scene.device.ipv4, 20) <= 6


@pytest.mark.parametrize("stealth", ["true", "false"])
def test_in_audit_mode_nothing_is_stopped_and_all_that_would_be_is_counted(
    firewall: Firewall, scene: Scene, stealth: str
) -> None:
    wanted = {**zone("public", stealthmode=stealth, **ON), **everywhere(enableauditmode="true")}
    block = firewall_rule("block", protocol="tcp", localports=(str(PORT),))

    firewall.enforce({**wanted, FIREWALL_RULES: (block,)})

    assert (scene.arriving(), scene.arriving(port=OTHER_PORT), scene.arriving("udp")) == ("accept",) * 3
    assert firewall.holds({**wanted, FIREWALL_RULES: (block,)})
    script = (firewall.host.read_file(SCRIPT) or b"").decode()
    assert "counter drop" not in script
    assert "reject" not in script


def test_switched_off_a_zone_filters_nothing(firewall: Firewall, scene: Scene) -> None:
    block = firewall_rule("block", protocol="tcp", localports=(str(PORT),))

    firewall.enforce({**zone("public", enablefirewall="false"), FIREWALL_RULES: (block,)})

    assert scene.arriving() == "accept"


def test_letting_go_leaves_nothing_behind(firewall: Firewall, scene: Scene) -> None:
    log = PurePosixPath("/var/log/shieldwall/firewall-public.log")
    firewall.enforce({**zone("public", **ON), **everywhere(forwardedtraffic="block", connectiontrackinghelpers="true")})
    firewall.host.write_file(log, b"a line\n")

    firewall.let_go()

    assert scene.device.run("nft", "list", "ruleset").stdout == b""
    assert set(firewall.files().values()) == {None}
    assert firewall.host.read_file(log) is None


def test_a_line_changed_in_any_chain_is_seen_and_put_back(firewall: Firewall, scene: Scene) -> None:
    wanted = {**zone("public", icmpechorate=5, stealthmode="false", **ON), **everywhere(forwardedtraffic="block")}
    firewall.enforce(wanted)
    listing = nft.live_table(firewall.host)
    assert listing is not None

    for chain in sorted({line.chain for line in listing.lines}):
        scene.device.run("nft", "flush", "chain", "inet", "shieldwall", chain)
        assert not firewall.holds(wanted), chain
        firewall.provider.activate(firewall.host)
        assert firewall.holds(wanted)


def hits_of(firewall: Firewall) -> Mapping[str, int]:
    return firewall.provider.hits(firewall.host)
