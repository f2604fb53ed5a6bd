from __future__ import annotations

from ipaddress import ip_address
from itertools import pairwise
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.firewall_profiles import firewalls
from tests.support.firewall_rules import firewall_rule, rules
from tests.support.provider_conformance import ProviderConformance

from shieldwall.agent.providers.base import Files
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.agent.providers.nftables.intervals import merged, parse_addresses, parse_ports
from shieldwall.agent.providers.nftables.machine import Machine
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES, UnusableRuleError, parse_rule
from shieldwall.agent.providers.nftables.script import Asked, read_script, script_of
from shieldwall.agent.providers.nftables.units import SCRIPT
from shieldwall.agent.providers.nftables.usable import sorted_out
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item, SettingValue

PROVIDER = NftablesProvider()
GROUPS = {"localaddressgroups", "remoteaddressgroups"}
"""Members that the server replaces when it publishes a policy."""
FILES: Files = dict.fromkeys(PROVIDER.files())


class TestNftablesConformance(ProviderConformance):
    provider = PROVIDER
    file_contents: ClassVar[st.SearchStrategy[Files]] = st.fixed_dictionaries(
        {path: st.none() | st.binary(max_size=40) for path in PROVIDER.files()}
    )
    desired = firewalls(rules())


@given(items=st.lists(rules(), max_size=4))
def test_a_script_that_somebody_changed_by_hand_says_nothing(items: list[Item]) -> None:
    usable = [item for item in items if _is_usable(item)]
    script = script_of(Asked(rules=tuple(usable)))

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
        ({"log": "maybe"}, "invalidRule"),
        ({"zones": ("home",)}, "invalidRule"),
        ({"interfaces": ("lo",)}, "invalidRule"),
        ({"interfaces": ('eth0"',)}, "invalidRule"),
        ({"interfaces": ("*",)}, "invalidRule"),
        ({"interfacetypes": ("pigeon",)}, "invalidRule"),
        ({"servicename": "nginx"}, "invalidRule"),
        ({"servicename": 'x".service'}, "invalidRule"),
        ({"servicename": "absent.service"}, "serviceNotRunning"),
        ({"users": ("root",)}, "usersNeedOutbound"),
        ({"users": ("Bad name",), "direction": "out"}, "invalidRule"),
        ({"users": ("4294967295",), "direction": "out"}, "invalidRule"),
        ({"users": ("nobodyknows",), "direction": "out"}, "unknownUser"),
        ({"protocolnumber": 256}, "invalidRule"),
        ({"protocolnumber": 47, "protocol": "tcp"}, "numberNeedsAny"),
        ({"protocolnumber": 6, "direction": "out"}, "wouldCutOffDevice"),
        ({"icmptypes": ("8:0",)}, "icmpNeedsProtocol"),
        ({"icmptypes": ("8",), "protocol": "icmp"}, "invalidRule"),
        ({"icmptypes": ("256:*",), "protocol": "icmp"}, "invalidRule"),
        ({"localaddressgroups": ("8b1c7c2e-0000-4000-8000-000000000000",)}, "groupNotReplaced"),
    ],
)
def test_a_rule_that_cannot_be_expressed_is_rejected_alone(members: dict[str, Any], code: str) -> None:
    good, bad = firewall_rule("good", protocol="tcp", localports=("22",)), firewall_rule("bad", **members)

    rendered = PROVIDER.render(FILES, {FIREWALL_RULES: (bad, good)}, {})

    assert PROVIDER.read(rendered.files) == {FIREWALL_RULES: (good,)}
    assert [(status.item, status.code) for status in rendered.rejected[FIREWALL_RULES]] == [("bad", code)]


@given(data=st.data())
@pytest.mark.parametrize("member", sorted(GROUPS | {"invented"}))
def test_a_rule_with_a_condition_that_cannot_be_expressed_never_reaches_further(
    member: str, data: st.DataObject
) -> None:
    setting = SettingId(f"{FIREWALL_RULES}_item_{member}")
    narrowed = Item(
        (*data.draw(rules()).members, (setting, data.draw(st.just((f"{setting}_x",)) | st.just(f"{setting}_x"))))
    )

    rendered = PROVIDER.render(FILES, {FIREWALL_RULES: (narrowed,)}, {})

    assert PROVIDER.read(rendered.files) == {FIREWALL_RULES: ()}
    (rejected,) = rendered.rejected[FIREWALL_RULES]
    assert setting in (rejected.reason or "")


def test_every_member_of_the_catalog_is_known_or_replaced_by_the_server() -> None:
    codes = {}
    for child in load().definition(FIREWALL_RULES).children:
        try:
            parse_rule(Item((*firewall_rule().members, (child, 7))))
        except UnusableRuleError as error:
            codes[child.removeprefix(f"{FIREWALL_RULES}_item_")] = error.code

    assert {member for member, code in codes.items() if code == "groupNotReplaced"} == GROUPS
    assert "unknownMember" not in codes.values()


@pytest.mark.parametrize("value", [(), "text", 7, ("text", 7), (Item(()),)])
def test_a_value_of_another_shape_never_makes_rendering_fail(value: SettingValue) -> None:
    rendered = PROVIDER.render(FILES, {FIREWALL_RULES: value}, {})

    assert PROVIDER.read(rendered.files) == {FIREWALL_RULES: ()}


def test_a_name_cannot_break_out_of_its_comment() -> None:
    nasty = firewall_rule('"; flush ruleset #\n\u2028table inet other {}', protocol="tcp", localports=("22",))

    script = script_of(Asked(rules=(nasty,))).decode()

    commands = [line for line in script.split("\n") if not line.startswith("#")]
    assert not any("flush" in line or "other" in line for line in commands)
    assert items_in(script.encode()) == (nasty,)


def test_a_disabled_rule_is_remembered_and_has_no_line_in_the_table() -> None:
    disabled = firewall_rule("off", enabled="0", protocol="tcp", localports=("22",))

    script = script_of(Asked(rules=(disabled,)))

    assert items_in(script) == (disabled,)
    assert _lines_of(disabled, Machine()) == []


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


def test_only_files_of_our_own_are_ever_written() -> None:
    assert {path.name for path in PROVIDER.files()} == {
        "nftables.conf",
        "nftables-boot.conf",
        "shieldwall-firewall.service",
        "shieldwall-firewall-log.service",
        "shieldwall-firewall.conf",
        "shieldwall-firewall-log.conf",
    }


def test_what_an_earlier_agent_remembered_is_still_put_back() -> None:
    was = {"before": "bXkgb3duCg=="}

    released = PROVIDER.render({**FILES, SCRIPT: b"anything"}, {}, was)

    assert released.files == {**FILES, SCRIPT: b"my own\n"}
    assert PROVIDER.render({**FILES, SCRIPT: b"anything"}, {}, {"before": None}).files == FILES


def items_in(script: bytes) -> tuple[SettingValue, ...] | None:
    asked = read_script(script)
    return None if asked is None else asked.rules


def _lines_of(item: Item, machine: Machine) -> list[str]:
    table = Asked(rules=(item,), machine=machine).table()
    return [str(line) for line in table.lines if parse_rule(item).id in line.comment]


def _is_usable(item: Item) -> bool:
    return bool(sorted_out((item,), Machine()).items)


def _numbers(intervals: Any) -> set[int]:
    return {number for first, last in intervals for number in range(first, last + 1)}
