"""Devices get addresses in the places of references: all of them, each once, and never a group."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.policies import RULES, catalog, choice, firewall_rule, items, text, texts
from tests.support.samples import counted_id

from shieldwall.catalog.findings import Finding
from shieldwall.contract.ids import ReusableSettingId, SettingId
from shieldwall.contract.settings import (
    GroupSetting,
    GroupValue,
    SettingInstance,
    SimpleCollectionSetting,
    SimpleValue,
    walk,
)
from shieldwall.server.manager.references import addresses_of, expanded, is_reference, references_in

GROUP = SettingId("linux_shieldwall_addressgroup")
WINDOWS = "vendor_msft_firewall_mdmstore_firewallrules_{firewallrulename}"
FIRST, SECOND, ABSENT = (ReusableSettingId(counted_id("2", number)) for number in (1, 2, 3))
KNOWN = {FIRST: ("10.0.0.1", "10.0.0.2"), SECOND: ("10.0.0.2", "::1")}


def address_group(*addresses: str) -> GroupSetting:
    return GroupSetting(definition=GROUP, value=GroupValue(children=(texts(f"{GROUP}_addresses", *addresses),)))


def refer(setting: str, *named: str) -> SimpleCollectionSetting:
    values = tuple(SimpleValue(kind="reference", value=each, note="a group") for each in named)
    return SimpleCollectionSetting(definition=SettingId(setting), values=values)


def rules(*members: SettingInstance) -> tuple[SettingInstance, ...]:
    return (items(RULES, firewall_rule("ssh", "allow", *members)),)


def test_addresses_stand_beside_those_of_the_rule_each_once() -> None:
    found, findings = expanded(
        catalog(),
        rules(
            texts(f"{RULES}_item_remoteaddresses", "192.0.2.1", "10.0.0.1"),
            refer(f"{RULES}_item_remoteaddressgroups", FIRST, SECOND),
        ),
        KNOWN,
    )

    assert findings == ()
    assert found == rules(texts(f"{RULES}_item_remoteaddresses", "192.0.2.1", "10.0.0.1", "10.0.0.2", "::1"))


def test_a_rule_without_addresses_gets_them_on_the_side_that_refers() -> None:
    found, findings = expanded(catalog(), rules(refer(f"{RULES}_item_localaddressgroups", SECOND)), KNOWN)

    assert findings == ()
    assert found == rules(texts(f"{RULES}_item_localaddresses", "10.0.0.2", "::1"))


def test_a_reusable_group_of_windows_becomes_remote_address_ranges() -> None:
    rule = (text(f"{WINDOWS}_name", "ssh"), refer(f"{WINDOWS}_remoteaddressdynamickeywords", f"{{{FIRST.upper()}}}"))
    found, findings = expanded(catalog(), (items(WINDOWS, rule),), KNOWN)

    assert findings == ()
    assert found == (items(WINDOWS, (rule[0], texts(f"{WINDOWS}_remoteaddressranges", *KNOWN[FIRST]))),)


def test_an_id_as_plain_text_is_a_reference_too() -> None:
    settings = rules(texts(f"{RULES}_item_remoteaddressgroups", FIRST))

    assert references_in(catalog(), settings) == {FIRST}
    assert expanded(catalog(), settings, KNOWN)[0] == rules(texts(f"{RULES}_item_remoteaddresses", *KNOWN[FIRST]))


def test_a_reference_to_nothing_is_named_by_its_place() -> None:
    _, findings = expanded(catalog(), rules(refer(f"{RULES}_item_remoteaddressgroups", FIRST, ABSENT)), KNOWN)

    assert [(finding.path, finding.code) for finding in findings] == [
        ("settings[0].values[0].children[2].values[1]", "unknownReference")
    ]


_SIDES = st.sampled_from(["local", "remote"])
_RULES = st.lists(
    st.dictionaries(_SIDES, st.tuples(st.lists(st.sampled_from(["192.0.2.1", "10.0.0.1"]), unique=True),
                                      st.lists(st.sampled_from([FIRST, SECOND]), unique=True)))
)  # fmt: skip


@given(drawn=_RULES)
def test_what_is_published_names_every_address_and_no_group(
    drawn: list[dict[str, tuple[list[str], list[ReusableSettingId]]]],
) -> None:
    written = [
        (
            *firewall_rule(str(number)),
            *(texts(f"{RULES}_item_{side}addresses", *own) for side, (own, _) in rule.items()),
            *(refer(f"{RULES}_item_{side}addressgroups", *named) for side, (_, named) in rule.items()),
        )
        for number, rule in enumerate(drawn)
    ]
    found, findings = expanded(catalog(), (items(RULES, *written),), KNOWN)

    assert findings == ()
    assert not any(is_reference(catalog(), instance.definition) for instance in walk(found))
    assert expanded(catalog(), found, {}) == (found, ())
    for rule, group in zip(drawn, found[0].values, strict=True):  # type: ignore[union-attr]  # a group collection
        for side, (own, named) in rule.items():
            expected = set(own).union(*(KNOWN[each] for each in named))
            published = {
                value.value
                for child in group.children
                if child.definition == f"{RULES}_item_{side}addresses"
                for value in child.values
            }
            assert published == expected


def test_a_group_stands_for_its_addresses() -> None:
    assert addresses_of(catalog(), address_group("10.0.0.0/8", "::1", "10.0.0.0/8")) == ("10.0.0.0/8", "::1")


@pytest.mark.parametrize(
    ("instance", "said"),
    [
        (address_group(), "no address"),
        (choice("vendor_msft_firewall_mdmstore_dynamickeywords_addresses_{id}_autoresolve", "_true"), "resolves"),
    ],
)
def test_what_stands_for_no_addresses_is_refused(instance: SettingInstance, said: str) -> None:
    found = addresses_of(catalog(), instance)

    assert isinstance(found, Finding)
    assert (found.code, said in found.message) == ("notExpandable", True)
