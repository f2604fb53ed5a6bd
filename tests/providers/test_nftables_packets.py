"""Real packets between two network namespaces: what the rules say is what happens to a connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.firewall_rules import firewall_rule, rules
from tests.support.namespaces import Namespace, NamespaceHost, joined_namespaces

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Files, Kept, Observation
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.agent.providers.nftables.nft import NftablesError
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.agent.providers.nftables.units import SCRIPT
from shieldwall.policy.values import Item

pytestmark = [pytest.mark.root, pytest.mark.nftables]

PROVIDER = NftablesProvider()
PORT = 8000
FOREIGN = b"""
table inet theirs {
  chain input {
    type filter hook input priority 10; policy accept;
    tcp dport 1 counter accept comment "theirs"
  }
}
"""


@pytest.fixture(scope="module")
def cable() -> Iterator[tuple[Namespace, Namespace]]:
    with joined_namespaces() as ends:
        yield ends


@pytest.fixture
def device(cable: tuple[Namespace, Namespace]) -> Iterator[Namespace]:
    cable[0].run("nft", "flush", "ruleset")
    yield cable[0]
    cable[0].run("nft", "flush", "ruleset")


@pytest.fixture
def other(cable: tuple[Namespace, Namespace]) -> Namespace:
    return cable[1]


@pytest.fixture
def host(device: Namespace, tmp_path: Path) -> NamespaceHost:
    return NamespaceHost(tmp_path, device)


def files_of(host: Host) -> Files:
    return {path: host.read_file(path) for path in PROVIDER.files()}


def apply(host: Host, *items: Item) -> Kept:
    rendered = PROVIDER.render(files_of(host), {FIREWALL_RULES: items}, {})
    assert not rendered.rejected
    host.write_file(SCRIPT, rendered.files[SCRIPT])
    PROVIDER.activate(host)
    return rendered.kept


def let_go(host: Host, kept: Kept) -> None:
    released = PROVIDER.render(files_of(host), {}, kept)
    host.write_file(SCRIPT, released.files[SCRIPT])
    PROVIDER.activate(host)


def observed(host: Host, *items: Item) -> Observation:
    return PROVIDER.observe(host, {FIREWALL_RULES: items})[FIREWALL_RULES]


def ruleset(device: Namespace) -> str:
    return device.run("nft", "--stateless", "list", "ruleset").stdout.decode()


def table(device: Namespace) -> str:
    return device.run("nft", "--stateless", "list", "table", "inet", "shieldwall").stdout.decode()


@pytest.mark.parametrize("udp", [False, True], ids=["tcp", "udp"])
@pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])
def test_a_port_is_open_then_blocked_then_open_again(
    host: NamespaceHost, device: Namespace, other: Namespace, *, udp: bool, ipv6: bool
) -> None:
    block = firewall_rule("block", protocol="udp" if udp else "tcp", localports=(str(PORT),))
    with device.listening(PORT, udp=udp, ipv6=ipv6):
        assert other.reaches(device, PORT, udp=udp, ipv6=ipv6)

        kept = apply(host, block)
        assert not other.reaches(device, PORT, udp=udp, ipv6=ipv6)
        assert device.reaches(device, PORT, udp=udp, ipv6=ipv6), "loopback must always pass"
        seen = observed(host, block)
        assert (seen.effective, seen.code) == (True, "comparedOnly" if udp else ""), "packets of the probe are of TCP"

        let_go(host, kept)
        assert other.reaches(device, PORT, udp=udp, ipv6=ipv6)
        assert ruleset(device) == ""
        assert host.read_file(SCRIPT) is None


def test_block_beats_allow(host: NamespaceHost, device: Namespace, other: Namespace) -> None:
    allow = firewall_rule("allow", action="allow", protocol="tcp", localports=(str(PORT),))
    block = firewall_rule("block", action="block", protocol="tcp", localports=("7000-9000",))

    apply(host, allow, block)

    with device.listening(PORT):
        assert not other.reaches(device, PORT)


def test_with_all_inbound_blocked_the_device_still_reaches_others(
    host: NamespaceHost, device: Namespace, other: Namespace
) -> None:
    apply(host, firewall_rule("all inbound"))

    for ipv6 in (False, True):
        device.run("ip", "neighbour", "flush", "all")  # finding neighbours again must work too
        with device.listening(PORT, ipv6=ipv6), other.listening(PORT, ipv6=ipv6):
            assert not other.reaches(device, PORT, ipv6=ipv6)
            assert device.reaches(other, PORT, ipv6=ipv6)


def test_an_outbound_rule_blocks_what_it_names_and_nothing_else(
    host: NamespaceHost, device: Namespace, other: Namespace
) -> None:
    apply(
        host,
        firewall_rule("out", direction="out", protocol="tcp", remoteports=("8000",), remoteaddresses=(other.ipv4,)),
    )

    with other.listening(8000), other.listening(8001):
        assert not device.reaches(other, 8000)
        assert device.reaches(other, 8001)


def test_a_rule_for_an_address_leaves_other_addresses_alone(
    host: NamespaceHost, device: Namespace, other: Namespace
) -> None:
    apply(
        host, firewall_rule("elsewhere", protocol="tcp", localports=("8000",), remoteaddresses=("10.99.0.3-10.99.0.9",))
    )

    with device.listening(8000):
        assert other.reaches(device, 8000)


def test_a_rule_for_every_ipv4_address_leaves_ipv6_alone(
    host: NamespaceHost, device: Namespace, other: Namespace
) -> None:
    apply(host, firewall_rule("ipv4", protocol="tcp", localports=("8000",), remoteaddresses=("0.0.0.0/0",)))

    with device.listening(8000):
        assert not other.reaches(device, 8000)
    with device.listening(8000, ipv6=True):
        assert other.reaches(device, 8000, ipv6=True)


def test_tables_of_others_are_never_touched(host: NamespaceHost, device: Namespace) -> None:
    device.run("nft", "-f", "-", stdin=FOREIGN)
    before = ruleset(device)
    assert "theirs" in before

    kept = apply(host, firewall_rule("block", protocol="tcp", localports=("22",)))
    assert before in ruleset(device)

    let_go(host, kept)
    assert ruleset(device) == before


def test_a_transaction_that_fails_leaves_the_old_rules(host: NamespaceHost, device: Namespace) -> None:
    apply(host, firewall_rule("block", protocol="tcp", localports=("22",)))
    before = table(device)

    completed = host.run(
        ["nft", "-f", "-"],
        stdin=(host.read_file(SCRIPT) or b"") + b"add rule inet shieldwall nowhere drop\n",
    )

    assert completed.returncode != 0
    assert table(device) == before


def test_a_script_that_is_not_ours_is_never_run(host: NamespaceHost, device: Namespace) -> None:
    device.run("nft", "-f", "-", stdin=FOREIGN)
    before = ruleset(device)
    assert "theirs" in before

    host.write_file(SCRIPT, b"flush ruleset\n")
    PROVIDER.activate(host)

    assert ruleset(device) == before


def test_applying_again_changes_nothing(host: NamespaceHost, device: Namespace) -> None:
    rule = firewall_rule("block", protocol="tcp", localports=("22",))
    apply(host, rule)
    first = table(device)

    PROVIDER.activate(host)

    assert table(device) == first


@pytest.mark.parametrize(
    ("tampering", "code"),
    [
        ("delete table inet shieldwall", "tableMissing"),
        ("flush table inet shieldwall", "ruleMissing"),
        ("flush chain inet shieldwall output", "ruleMissing"),
        ("insert rule inet shieldwall public_in accept", "ruleUnexpected"),
        ("insert rule inet shieldwall input accept", "ruleUnexpected"),
        ("add chain inet shieldwall forward { type filter hook forward priority 0; policy drop; }", "chainUnexpected"),
        ("add set inet shieldwall more { type ifname . inet_service; }", "objectUnexpected"),
        ('insert rule inet shieldwall public_in tcp dport 22 accept comment "{comment}"', "ruleUnexpected"),
        ("chain inet shieldwall input { policy drop; }", "chainMissing"),
        ('replace rule inet shieldwall public_in handle {last} tcp dport != 22 drop comment "{comment}"', "ruleChanged"),  # noqa: E501
        ("delete rule inet shieldwall public_in handle {first}", "ruleMissing"),
        ('replace rule inet shieldwall public_in handle {last} tcp dport 23 drop comment "{comment}"', "ruleChanged"),
    ],
)  # fmt: skip
def test_tampering_with_the_live_table_is_seen_and_repaired(
    host: NamespaceHost, device: Namespace, tampering: str, code: str
) -> None:
    rule = firewall_rule("block", protocol="tcp", localports=("22",))
    apply(host, rule)
    listing = json.loads(device.run("nft", "-j", "list", "chain", "inet", "shieldwall", "public_in").stdout)
    ours = [entry["rule"] for entry in listing["nftables"] if "rule" in entry]
    command = tampering.replace("{first}", str(ours[0]["handle"])).replace("{last}", str(ours[-1]["handle"]))

    completed = device.run("nft", "-f", "-", stdin=command.replace("{comment}", ours[-1]["comment"]).encode())
    assert completed.returncode == 0, completed.stderr

    drift = observed(host, rule)
    assert drift.effective is False
    assert code in drift.code.split(", ")

    PROVIDER.activate(host)
    assert observed(host, rule) == Observation(effective=True)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=st.lists(rules(), max_size=6, unique=True).map(tuple))
def test_whatever_can_be_expressed_is_loaded_and_found_again(host: NamespaceHost, items: tuple[Item, ...]) -> None:
    rendered = PROVIDER.render(files_of(host), {FIREWALL_RULES: items}, {})
    host.write_file(SCRIPT, rendered.files[SCRIPT])

    PROVIDER.activate(host)

    assert observed(host, *items).effective is True


def test_hundreds_of_rules_are_one_transaction(host: NamespaceHost) -> None:
    items = tuple(
        firewall_rule(
            f"rule {number}", protocol="tcp", localports=(str(number),), remoteaddresses=("10.0.0.0/8", "fd00::/8")
        )
        for number in range(1, 751)
    )

    apply(host, *items)

    assert observed(host, *items).effective is True


def test_the_version_is_that_of_the_program(host: NamespaceHost) -> None:
    version = PROVIDER.product_version(host)

    assert version is not None
    assert version[0].isdigit()


def test_a_refusal_by_nft_is_reported_in_its_own_words(host: NamespaceHost, device: Namespace) -> None:
    device.run("nft", "-f", "-", stdin=b"table inet shieldwall { chain input { type nat hook input priority 0; } }")
    (host.root / "nft").write_text("#!/bin/sh\necho 'Error: no' >&2\nexit 1\n")
    (host.root / "nft").chmod(0o755)
    broken = NamespaceHost(host.root, device)
    broken._program_directories = (host.root,)
    broken.write_file(SCRIPT, PROVIDER.render(files_of(host), {FIREWALL_RULES: ()}, {}).files[SCRIPT])

    with pytest.raises(NftablesError, match="Error: no"):
        PROVIDER.activate(broken)


def test_an_inbound_rule_tells_the_remote_end_from_the_local_one(
    host: NamespaceHost, device: Namespace, other: Namespace
) -> None:
    ends = {"remoteaddresses": (other.ipv4,), "localaddresses": (device.ipv4,)}
    swapped = {"remoteaddresses": (device.ipv4,), "localaddresses": (other.ipv4,)}
    with device.listening(PORT):
        apply(host, firewall_rule("swapped", protocol="tcp", localports=(str(PORT),), **swapped))
        assert other.reaches(device, PORT)

        apply(host, firewall_rule("right", protocol="tcp", localports=(str(PORT),), **ends))
        assert not other.reaches(device, PORT)
