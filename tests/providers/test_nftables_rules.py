from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.firewall_rules import firewall_rule, rules
from tests.support.provider_conformance import ProviderConformance

from shieldwall.agent.providers.base import Files
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.agent.providers.nftables.intervals import merged, parse_addresses, parse_ports
from shieldwall.agent.providers.nftables.lines import lines_for
from shieldwall.agent.providers.nftables.live import LiveTable, differences
from shieldwall.agent.providers.nftables.provider import SCRIPT
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES, UnusableRuleError, parse_rule
from shieldwall.agent.providers.nftables.script import items_in, script_of
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item, SettingValue

PROVIDER = NftablesProvider()
BEYOND = {
    "zones",
    "interfaces",
    "interfacetypes",
    "servicename",
    "users",
    "protocolnumber",
    "icmptypes",
    "localaddressgroups",
    "remoteaddressgroups",
}
"""Members that the catalog offers and this provider cannot express yet."""
IDLE = (("description", "Clear text"), ("log", f"{FIREWALL_RULES}_item_log_false"))


class TestNftablesConformance(ProviderConformance):
    provider = PROVIDER
    file_contents: ClassVar[st.SearchStrategy[Files]] = st.fixed_dictionaries(
        {SCRIPT: st.none() | st.binary(max_size=40)}
    )
    desired = st.fixed_dictionaries(
        {}, optional={FIREWALL_RULES: st.lists(rules(), max_size=4, unique=True).map(tuple)}
    )


@given(items=st.lists(rules(), max_size=4))
def test_a_script_that_somebody_changed_by_hand_says_nothing(items: list[Item]) -> None:
    usable = [item for item in items if _is_usable(item)]
    script = script_of(usable)

    assert items_in(script) == tuple(usable)
    assert items_in(script + b"\n") is None
    assert items_in(script.replace(b"policy accept", b"policy drop", 1)) is None


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"localports": ("22",)}, "portsNeedProtocol"),
        ({"protocol": "icmp", "remoteports": ("22",)}, "portsNeedProtocol"),
        ({"protocol": "tcp", "localports": ("0",)}, "invalidRule"),
        ({"protocol": "tcp", "localports": ("65536",)}, "invalidRule"),
        ({"protocol": "tcp", "localports": ("10-9",)}, "invalidRule"),
        ({"protocol": "sctp"}, "invalidRule"),
        ({"action": "maybe"}, "invalidRule"),
        ({"remoteaddresses": ("10.0.0.1/8",)}, "invalidRule"),
        ({"remoteaddresses": ("10.0.0.0/255.0.0.0",)}, "invalidRule"),
        ({"remoteaddresses": ("10.0.0.0/33",)}, "invalidRule"),
        ({"remoteaddresses": ("10.0.0.9-10.0.0.1",)}, "invalidRule"),
        ({"remoteaddresses": ("10.0.0.1-::1",)}, "invalidRule"),
        ({"remoteaddresses": ("fe80::1%eth0",)}, "invalidRule"),
        ({"remoteaddresses": ("::ffff:10.0.0.1",)}, "invalidRule"),
        ({"remoteaddresses": ("10.0.0.1; drop",)}, "invalidRule"),
        ({"remoteaddresses": ("",)}, "invalidRule"),
        ({"localaddresses": ("10.0.0.1",), "remoteaddresses": ("fd00::1",)}, "addressFamiliesDiffer"),
        ({"direction": "out"}, "wouldCutOffDevice"),
        ({"direction": "out", "protocol": "tcp", "remoteports": ("1-30000", "30001-65535")}, "wouldCutOffDevice"),
        ({"direction": "out", "remoteaddresses": ("0.0.0.0/1", "128.0.0.0/1")}, "wouldCutOffDevice"),
        ({"invented": "x"}, "unknownMember"),
        ({"log": f"{FIREWALL_RULES}_item_log_true"}, "unknownMember"),
    ],
)
def test_a_rule_that_cannot_be_expressed_is_rejected_alone(members: dict[str, Any], code: str) -> None:
    good, bad = firewall_rule("good", protocol="tcp", localports=("22",)), firewall_rule("bad", **members)

    rendered = PROVIDER.render({SCRIPT: None}, {FIREWALL_RULES: (bad, good)}, {})

    assert PROVIDER.read(rendered.files) == {FIREWALL_RULES: (good,)}
    assert [(status.item, status.code) for status in rendered.rejected[FIREWALL_RULES]] == [("bad", code)]


@given(data=st.data())
@pytest.mark.parametrize("member", sorted(BEYOND))
def test_a_rule_with_a_condition_that_cannot_be_expressed_never_reaches_further(
    member: str, data: st.DataObject
) -> None:
    setting = SettingId(f"{FIREWALL_RULES}_item_{member}")
    narrowed = Item(
        (*data.draw(rules()).members, (setting, data.draw(st.just((f"{setting}_x",)) | st.just(f"{setting}_x"))))
    )

    rendered = PROVIDER.render({SCRIPT: None}, {FIREWALL_RULES: (narrowed,)}, {})

    assert PROVIDER.read(rendered.files) == {FIREWALL_RULES: ()}
    (rejected,) = rendered.rejected[FIREWALL_RULES]
    assert (rejected.code, setting in (rejected.reason or "")) == ("unknownMember", True)


def test_what_asks_for_nothing_does_not_keep_a_rule_from_being_applied() -> None:
    plain = firewall_rule(protocol="tcp", localports=("23",))
    said = Item((*plain.members, *((SettingId(f"{FIREWALL_RULES}_item_{name}"), value) for name, value in IDLE)))

    assert [replace(parse_rule(rule), id="") for rule in (said, plain)] == [replace(parse_rule(plain), id="")] * 2


def test_every_member_of_the_catalog_is_known_or_refused() -> None:
    members = {each.removeprefix(f"{FIREWALL_RULES}_item_") for each in load().definition(FIREWALL_RULES).children}

    known = {"name", "enabled", "direction", "action", "protocol", "localports", "remoteports"}
    assert members == known | {"localaddresses", "remoteaddresses", "description", "log"} | BEYOND


@pytest.mark.parametrize("value", [(), "text", 7, ("text", 7), (Item(()),)])
def test_a_value_of_another_shape_never_makes_rendering_fail(value: SettingValue) -> None:
    rendered = PROVIDER.render({SCRIPT: None}, {FIREWALL_RULES: value}, {})

    assert PROVIDER.read(rendered.files) == {FIREWALL_RULES: ()}


def test_a_name_cannot_break_out_of_its_comment() -> None:
    nasty = firewall_rule('"; flush ruleset #\n\u2028table inet other {}', protocol="tcp", localports=("22",))

    script = script_of([nasty]).decode()

    commands = [line for line in script.split("\n") if not line.startswith("#")]
    assert not any("flush" in line or "other" in line for line in commands)
    assert items_in(script.encode()) == (nasty,)


def test_a_disabled_rule_is_remembered_and_has_no_line_in_the_table() -> None:
    disabled = firewall_rule("off", enabled="0", protocol="tcp", localports=("22",))

    script = script_of([disabled])

    assert items_in(script) == (disabled,)
    assert b"dport" not in script


def test_every_block_stands_before_every_allow_and_after_what_must_always_pass() -> None:
    allow = firewall_rule("allow", action="allow", protocol="tcp", localports=("22",))
    block = firewall_rule("block", action="block", protocol="tcp", localports=("22",))

    script = script_of([allow, block]).decode()
    inbound = script[script.index("chain input") : script.index("chain output")]

    positions = [inbound.index(text) for text in ("loopback", "established", "neighbours")]
    positions += [inbound.index(f"shieldwall {parse_rule(rule).id}") for rule in (block, allow)]
    assert positions == sorted(positions)


def test_the_same_rule_has_the_same_id_everywhere_and_another_rule_another() -> None:
    first, other = firewall_rule("one"), firewall_rule("two")

    assert parse_rule(first).id == parse_rule(firewall_rule("one")).id
    assert parse_rule(first).id != parse_rule(other).id


@given(intervals=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda pair: (pair[0], sum(pair)))))
def test_merging_keeps_every_number_and_leaves_gaps_between_intervals(intervals: list[tuple[int, int]]) -> None:
    joined = merged(intervals)

    assert _numbers(joined) == _numbers(intervals)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(joined))


@given(address=st.ip_addresses())
def test_every_address_is_read_as_the_number_it_is(address: Any) -> None:
    if getattr(address, "ipv4_mapped", None) is None:
        assert parse_addresses(str(address)).interval == (int(address), int(ip_address(address)))


@given(text=st.text(max_size=12))
def test_text_is_a_range_of_ports_or_refused(text: str) -> None:
    try:
        first, last = parse_ports(text)
    except ValueError:
        return
    assert 1 <= first <= last <= 65_535
    assert text.isascii()


def test_only_our_own_script_is_ever_written() -> None:
    assert PROVIDER.files() == (PurePosixPath("/etc/shieldwall/nftables.conf"),)


def _is_usable(item: Item) -> bool:
    try:
        parse_rule(item)
    except UnusableRuleError:
        return False
    return True


def _numbers(intervals: Any) -> set[int]:
    return {number for first, last in intervals for number in range(first, last + 1)}


def test_rules_in_another_order_are_a_difference() -> None:
    block, allow = firewall_rule("block"), firewall_rule("allow", action="allow")
    desired = lines_for(map(parse_rule, (block, allow)))
    live = LiveTable(hooked=frozenset({"input", "output"}), lines=desired)
    swapped = LiveTable(hooked=live.hooked, lines=(desired[-1], *desired[:-1]))

    assert differences(live, desired) == ()
    assert [difference.code for difference in differences(swapped, desired)] == ["orderChanged"]
