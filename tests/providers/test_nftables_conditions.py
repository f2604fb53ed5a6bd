"""Conditions of rules over real packets: users, services, interfaces and their kinds, kinds of ICMP messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

import pytest
from tests.support.control_groups import group_host
from tests.support.firewall_profiles import zone
from tests.support.firewall_rules import firewall_rule
from tests.support.firewalling import Firewall
from tests.support.namespaces import Namespace, NamespaceHost, joined_namespaces
from tests.support.probing import Probe, Prober, answering, prober

from shieldwall.agent.providers.base import Desired
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.agent.providers.nftables.units import SCRIPT
from shieldwall.contract.status import SettingState

pytestmark = [pytest.mark.root, pytest.mark.nftables]

PORT, OTHER_PORT, SERVICE_PORT = 8000, 8001, 8100
NOBODY = 65_534
UNIT = "shieldwall-test.service"
PICKY_NFT = """#!/bin/sh
cat > "$0.in"
if grep -q "l4proto { 47 }" "$0.in"; then
    echo "Error: not on this kernel" >&2
    exit 1
fi
exec /usr/sbin/nft "$@" < "$0.in"
"""


class Scene:
    """Two machines and what is sent between them."""

    def __init__(self, device: Namespace, other: Namespace, inbound: Prober, outbound: Prober) -> None:
        self.device, self.other, self.inbound, self.outbound = device, other, inbound, outbound

    def arriving(self, port: int = PORT) -> str:
        return self.inbound.send([Probe("tcp", self.device.ipv4, port)], seconds=0.5)[0]

    def leaving(self, user: int) -> str:
        return self.outbound.send([Probe("tcp", self.other.ipv4, PORT, user)], seconds=0.5)[0]


@pytest.fixture(scope="module")
def whole_scene() -> Iterator[Scene]:
    with joined_namespaces() as (device, other), ExitStack() as stack:
        for namespace in (device, other):
            stack.enter_context(answering(namespace, (PORT, OTHER_PORT)))
        yield Scene(device, other, stack.enter_context(prober(other)), stack.enter_context(prober(device)))


@pytest.fixture
def scene(whole_scene: Scene) -> Iterator[Scene]:
    yield whole_scene
    whole_scene.device.run("nft", "flush", "ruleset")


@pytest.fixture
def firewall(scene: Scene, tmp_path: Path) -> Firewall:
    return Firewall(NamespaceHost(tmp_path, scene.device))


def rules(*items: object) -> Desired:
    return {FIREWALL_RULES: items}  # type: ignore[dict-item]


@pytest.mark.parametrize("user", ["nobody", "65534"])
def test_a_rule_about_users_stops_what_their_programs_send(firewall: Firewall, scene: Scene, user: str) -> None:
    wanted = rules(firewall_rule("users", direction="out", protocol="tcp", users=(user,)))

    rendered = firewall.enforce(wanted)

    assert not rendered.rejected
    assert firewall.holds(wanted)
    assert (scene.leaving(NOBODY), scene.leaving(0)) == ("drop", "accept")


def test_a_user_that_does_not_exist_costs_one_rule_until_there_is_one(firewall: Firewall, scene: Scene) -> None:
    missing = firewall_rule("missing", direction="out", users=("nosuchuser",))
    good = firewall_rule("good", direction="out", protocol="tcp", users=("nobody",))

    (status,) = firewall.enforce(rules(missing, good)).rejected[FIREWALL_RULES]

    assert (status.item, status.state, status.code) == ("missing", SettingState.ERROR, "unknownUser")
    assert scene.leaving(NOBODY) == "drop"


def test_a_rule_about_a_service_is_about_its_sockets_alone(scene: Scene, tmp_path: Path) -> None:
    wanted = rules(firewall_rule("service", protocol="tcp", servicename=UNIT))
    with group_host(tmp_path, scene.device) as host:
        firewall = Firewall(host)
        (waiting,) = firewall.enforce(wanted).rejected[FIREWALL_RULES]
        assert (waiting.state, waiting.code) == (SettingState.PENDING, "serviceNotRunning")

        with host.service(UNIT, SERVICE_PORT):
            assert scene.arriving(SERVICE_PORT) == "accept"
            assert not firewall.enforce(wanted).rejected
            assert firewall.holds(wanted)
            assert (scene.arriving(SERVICE_PORT), scene.arriving()) == ("drop", "accept")
            first = host.read_file(SCRIPT)

        with host.service(UNIT, SERVICE_PORT):  # started again, it is in another group of the same name
            assert scene.arriving(SERVICE_PORT) == "accept"
            assert not firewall.holds(wanted)
            firewall.enforce(wanted)
            assert firewall.holds(wanted)
            assert scene.arriving(SERVICE_PORT) == "drop"
            assert host.read_file(SCRIPT) != first

        assert firewall.enforce(wanted).rejected[FIREWALL_RULES][0].code == "serviceNotRunning"
        assert firewall.provider.read(firewall.files()) == rules()


def test_a_rule_about_an_interface_leaves_the_others_alone(firewall: Firewall, scene: Scene) -> None:
    firewall.enforce(rules(firewall_rule("elsewhere", protocol="tcp", interfaces=("eth9", "wg*"))))
    assert scene.arriving() == "accept"

    firewall.enforce(rules(firewall_rule("here", protocol="tcp", interfaces=("cab*",))))
    assert scene.arriving() == "drop"


@pytest.mark.parametrize(
    ("device_type", "kind"), [(None, "virtual"), ("wlan", "wireless"), ("wwan", "mobilebroadband")]
)
def test_a_rule_about_a_kind_of_interface_finds_those_of_the_kind(
    firewall: Firewall, scene: Scene, device_type: str | None, kind: str
) -> None:
    if device_type is not None:  # what a driver would say of the cable
        uevent = firewall.host.locate(PurePosixPath("/sys/class/net/cable/uevent"))
        uevent.parent.mkdir(parents=True)
        uevent.write_text(f"DEVTYPE={device_type}\nINTERFACE=cable\n")
    kinds = {"lan", "wireless", "mobilebroadband", "remoteaccess", "virtual"}
    others = tuple(sorted(kinds - {kind}))

    firewall.enforce(rules(firewall_rule("others", protocol="tcp", interfacetypes=others)))
    assert scene.arriving() == "accept"

    firewall.enforce(rules(firewall_rule("this", protocol="tcp", interfacetypes=(kind,))))
    assert scene.arriving() == "drop"


def test_an_interface_that_comes_later_is_found_at_the_next_look(firewall: Firewall, scene: Scene) -> None:
    wanted = {
        **rules(firewall_rule("tunnels", interfacetypes=("remoteaccess",))),
        **zone("internal", networks=("10.95.0.0/24",)),
    }
    firewall.enforce(wanted)
    assert b"later" not in (firewall.host.read_file(SCRIPT) or b"")

    scene.device.run("ip", "tuntap", "add", "dev", "later", "mode", "tun")
    scene.device.run("ip", "address", "add", "10.95.0.1/24", "dev", "later")
    try:
        firewall.enforce(wanted)
        machine = firewall.kept["machine"]
    finally:
        scene.device.run("ip", "link", "delete", "later")

    assert machine["kinds"] == {"remoteaccess": ["later"]}
    assert machine["zones"] == {"internal": ["later"]}
    assert not firewall.provider.may_cut_off({SCRIPT: None}, {SCRIPT: None})


def test_a_kind_of_message_is_stopped_and_other_kinds_pass(firewall: Firewall, scene: Scene) -> None:
    firewall.enforce(rules(firewall_rule("pings", protocol="icmp", icmptypes=("8:*",))))

    fates = scene.inbound.send([Probe("icmp", scene.device.ipv4), Probe("icmp", scene.device.ipv6)], seconds=0.5)

    assert fates == ["drop", "accept"], "numbers of IPv6 are other ones"


def test_a_rule_counts_in_its_zones_only(firewall: Firewall, scene: Scene) -> None:
    trusted = firewall_rule("trusted", protocol="tcp", zones=("trusted",))

    firewall.enforce({**rules(trusted), **zone("trusted", interfaces=("eth9",))})
    assert scene.arriving() == "accept"

    firewall.enforce({**rules(trusted), **zone("trusted", interfaces=("cable",))})
    assert scene.arriving() == "drop"


def test_a_rule_that_nft_refuses_costs_that_rule_alone(firewall: Firewall, scene: Scene, tmp_path: Path) -> None:
    refused = firewall_rule("refused", protocolnumber=47)
    good = firewall_rule("good", protocol="tcp", localports=(str(PORT),))
    picky = tmp_path / "programs" / "nft"
    picky.parent.mkdir()
    picky.write_text(PICKY_NFT)
    picky.chmod(0o755)
    host = NamespaceHost(tmp_path, scene.device)
    host._program_directories = (picky.parent, *host._program_directories)
    firewall = Firewall(host)

    (status,) = firewall.enforce(rules(refused, good)).rejected[FIREWALL_RULES]

    assert (status.item, status.code) == ("refused", "refusedByNft")
    assert "not on this kernel" in (status.reason or "")
    assert scene.arriving() == "drop"
