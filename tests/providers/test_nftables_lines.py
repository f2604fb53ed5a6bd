"""What a rule becomes in the table: its words, its verdicts, its place."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.firewall_profiles import zone
from tests.support.firewall_rules import firewall_rule

from shieldwall.agent.providers.nftables.differences import differences
from shieldwall.agent.providers.nftables.live import LiveTable
from shieldwall.agent.providers.nftables.machine import Machine, Service
from shieldwall.agent.providers.nftables.rules import parse_rule
from shieldwall.agent.providers.nftables.script import Asked
from shieldwall.policy.values import Item


@pytest.mark.parametrize(
    ("members", "lines"),
    [
        ({"interfaces": ("eth0", "wg*", "wg0", "w*")}, ['meta iifname { "eth0", "w*" }']),
        ({"interfaces": ("eth0",), "direction": "out"}, ['meta oifname { "eth0" }']),
        ({"users": ("1000", "0", "1001"), "direction": "out"}, ["meta skuid { 0, 1000-1001 }"]),
        ({"protocolnumber": 47}, ["meta l4proto { 47 }"]),
        ({"protocol": "icmp"}, ["meta l4proto { 1, 58 }"]),
        (
            {"protocol": "icmp", "icmptypes": ("8:0", "8:1", "3:*", "3:7")},
            [
                "icmp type { 3 }",
                "icmp code { 0-1 } icmp type { 8 }",
                "icmpv6 type { 3 }",
                "icmpv6 code { 0-1 } icmpv6 type { 8 }",
            ],
        ),
        ({"protocol": "icmp", "icmptypes": ("8:0", "*")}, ["meta l4proto { 1, 58 }"]),
        (
            {"protocol": "icmp", "icmptypes": ("8:*",), "remoteaddresses": ("10.0.0.1",)},
            ["icmp type { 8 } ip saddr { 10.0.0.1 }"],
        ),
        ({"servicename": "-.slice", "protocolnumber": 47}, ["meta l4proto { 47 }"]),
    ],
)
def test_each_condition_has_its_words_in_the_table(members: dict[str, Any], lines: list[str]) -> None:
    rule = parse_rule(firewall_rule(**members))

    table = Asked(rules=(firewall_rule(**members),)).table()

    found = [str(line) for line in table.lines if rule.id in line.comment]
    assert found == [f'{line} counter drop comment "shieldwall {rule.id}"' for line in lines]


@pytest.mark.parametrize(
    ("members", "verdicts"),
    [
        ({"protocol": "tcp", "localports": ("22",)}, ["reject with tcp reset"]),
        ({"protocolnumber": 6}, ["reject with tcp reset"]),
        ({"protocol": "udp", "localports": ("53",)}, ["reject"]),
        ({"protocol": "icmp", "icmptypes": ("8:0",), "remoteaddresses": ("10.0.0.1",)}, ["reject"]),
        ({"remoteaddresses": ("10.0.0.1",)}, ["reject with tcp reset", "reject"]),
    ],
)
def test_a_refusal_is_in_the_protocol_of_the_question(members: dict[str, Any], verdicts: list[str]) -> None:
    item = firewall_rule(**members)
    told = zone("public", enablefirewall="true", stealthmode="false")

    table = Asked(settings=told, rules=(item,)).table()

    assert [line.verdict for line in table.lines if parse_rule(item).id in line.comment] == verdicts


def test_a_rule_about_kinds_of_interfaces_names_those_that_there_are() -> None:
    item = firewall_rule(interfacetypes=("wireless", "virtual"))

    (line,) = _lines_of(item, Machine(kinds={"wireless": ("wlan0",), "virtual": ("br0", "veth1"), "lan": ("eth0",)}))
    none = _lines_of(item, Machine(kinds={"wireless": ()}))

    assert line.startswith('meta iifname { "br0", "veth1", "wlan0" } counter drop')
    assert none == [], "without an interface of the kind, the rule must not become one about all of them"


def test_a_rule_about_a_service_names_its_control_group_and_its_depth() -> None:
    machine = Machine(services={"nginx.service": Service(path="system.slice/nginx.service", inode=7)})

    (line,) = _lines_of(firewall_rule(servicename="nginx.service"), machine)

    assert line.startswith('socket cgroupv2 level 2 "system.slice/nginx.service" counter drop')


def test_every_block_stands_before_every_allow_and_after_what_must_always_pass() -> None:
    allow = firewall_rule("allow", action="allow", protocol="tcp", localports=("22",))
    block = firewall_rule("block", action="block", protocol="tcp", localports=("22",))

    table = Asked(rules=(allow, block)).table()

    order = [line.comment.removeprefix("shieldwall ") for line in table.lines if line.chain == "public_in"]
    assert order == ["established", parse_rule(block).id, parse_rule(allow).id]
    entrance = [line.comment.removeprefix("shieldwall ") for line in table.lines if line.chain == "input"]
    assert entrance == ["always loopback", "always neighbours", "always addresses", "always addresses", "zone public"]


def _lines_of(item: Item, machine: Machine) -> list[str]:
    table = Asked(rules=(item,), machine=machine).table()
    return [str(line) for line in table.lines if parse_rule(item).id in line.comment]


def test_rules_in_another_order_are_a_difference() -> None:
    desired = Asked(rules=(firewall_rule("block"), firewall_rule("allow", action="allow"))).table()
    live = LiveTable(hooked=frozenset(desired.hooks), strange=frozenset(), objects=frozenset(), lines=desired.lines)
    block, allow = (
        next(index for index, line in enumerate(desired.lines) if line.verdict == verdict and line.chain == "public_in")
        for verdict in ("drop", "accept")
    )
    order = list(desired.lines)
    order[block], order[allow] = order[allow], order[block]

    assert differences(live, desired) == ()
    assert [difference.code for difference in differences(replace(live, lines=tuple(order)), desired)] == [
        "orderChanged"
    ]
