"""Laws of the Windows firewall's settings: rules are written and read exactly, and letting go leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import every_setting
from tests.support.provider_conformance import ProviderConformance
from tests.support.setting_strategies import desired_settings
from tests.support.windows_firewall import CATALOG, PROFILES, RULE_SETTING, STORE, FirewalledMachine, items

from shieldwall.agent.host.registry import RegistryValue, Tree, ValueKind, decode, encode
from shieldwall.agent.providers.base import Desired
from shieldwall.agent.providers.windows_firewall import (
    GROUP_POLICY_STORE,
    MDM_STORE,
    PolicyStore,
    WindowsFirewallProvider,
    grammar,
)
from shieldwall.agent.providers.windows_firewall.grammar import KEYWORDS, NEWER_KEYWORDS, FirewallRule
from shieldwall.agent.providers.windows_firewall.places import RECORDS, place_of, why_nowhere
from shieldwall.agent.providers.windows_firewall.rules import UnusableRuleError, id_of, is_ours, rule_of
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.policy.flatten import put
from shieldwall.policy.values import Item, SettingValue
from shieldwall.testing.windows.cim import PretendCim
from shieldwall.testing.windows.firewall_rules import PretendRule

GOLDEN: Final = Path(__file__).parent / "golden"
PLACED: Final = [setting for setting in CATALOG.definitions if place_of(setting) is not None]

_VALUES: Final = st.one_of(
    st.integers(0, 3).map(RegistryValue.dword),
    st.sampled_from(["", "v2.30|Action=Allow|Active=TRUE|Dir=In|Name=Theirs|", "a|b"]).map(RegistryValue.text),
    st.just(RegistryValue(ValueKind.BINARY, b"\x00")),
)
_KEYS: Final = ("", "DomainProfile", "domainprofile\\Logging", "PublicProfile", "StandardProfile", "FirewallRules", "X")
_NAMES: Final = ("", "EnableFirewall", "enablefirewall", "LogFileSize", "{F7EE5C6D-6C90-456B-9166-E301B1305A56}")


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Any part of a registry in which there may be anything of others."""
    tree: dict[str, dict[str, RegistryValue]] = {"": {}}
    for key in draw(st.lists(st.sampled_from(_KEYS), max_size=4, unique=True)):
        above = key.partition("\\")[0]
        tree.setdefault(next((each for each in tree if each.lower() == above.lower()), above), {})
        spelled = next((each for each in tree if each.lower() == key.lower()), key)
        tree.setdefault(spelled, {})
        names = draw(st.lists(st.sampled_from(_NAMES), max_size=3, unique_by=str.lower))
        tree[spelled] |= {
            name: draw(_VALUES) for name in names if name.lower() not in {each.lower() for each in tree[spelled]}
        }
    return tree


def settings() -> st.SearchStrategy[Desired]:
    rules = st.lists(items(), max_size=4, unique=True).map(tuple)
    others = desired_settings(CATALOG, PLACED)
    return st.tuples(others, st.none() | rules).map(
        lambda both: both[0] if both[1] is None else {**both[0], RULE_SETTING: both[1]}
    )


def documents(store: PolicyStore) -> st.SearchStrategy[Mapping[PurePosixPath, bytes | None]]:
    content = st.none() | trees().map(encode)
    return st.fixed_dictionaries({store.path: content, RECORDS: content})


PROVIDER: Final = WindowsFirewallProvider(CATALOG, PretendCim())


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = documents(MDM_STORE)
    desired = settings()


class TestConformanceOfGroupPolicysStore(ProviderConformance):
    provider = WindowsFirewallProvider(CATALOG, PretendCim(), store=GROUP_POLICY_STORE)
    file_contents = documents(GROUP_POLICY_STORE)
    desired = settings()


_TEXT: Final = st.text(st.characters(min_codepoint=32, exclude_characters="|", exclude_categories=["Cs"]), max_size=8)
_PORT: Final = st.sampled_from(["0", "443", "8000-8010", "65535"])
_FOUR: Final = st.sampled_from(["10.0.0.0/8", "192.0.2.1", "192.0.2.1-192.0.2.9"])
_SIX: Final = st.sampled_from(["2001:db8::/32", "::1", "2001:db8::1-2001:db8::9"])
_WORD: Final = st.sampled_from([*KEYWORDS, *NEWER_KEYWORDS])


def _several(values: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(values, max_size=3, unique=True).map(tuple)


@st.composite
def parsed_rules(draw: st.DrawFn) -> FirewallRule:
    protocol = draw(st.sampled_from([None, 1, 6, 17, 58, 255]))
    kinds = _several(st.sampled_from(["8:0", "3:*"])) if protocol in {1, 58} else st.just(())
    ports = _several(_PORT) if protocol in {6, 17} else st.just(())
    incoming = draw(st.booleans())
    return FirewallRule(
        blocks=draw(st.booleans()),
        active=draw(st.booleans()),
        incoming=incoming,
        protocol=protocol,
        profiles=draw(_several(st.sampled_from(grammar.PROFILES))),
        local_ports=draw(ports),
        remote_ports=draw(ports),
        messages=draw(kinds),
        interface_types=draw(_several(st.sampled_from(grammar.INTERFACE_TYPES))),
        local_addresses=draw(_several(_FOUR | _SIX)),
        remote_addresses=draw(_several(_FOUR | _SIX | _WORD)),
        program=draw(_TEXT),
        service=draw(_TEXT),
        users=draw(_TEXT),
        package=draw(_TEXT),
        name=draw(_TEXT),
        description=draw(_TEXT),
        edge=incoming and draw(st.booleans()),
    )


@given(parsed_rules())
def test_a_rule_is_read_as_it_was_written(rule: FirewallRule) -> None:
    assert grammar.parse(grammar.render(rule)) == rule


@given(parsed_rules(), st.data())
def test_a_rule_with_anything_changed_is_another_or_none(rule: FirewallRule, data: st.DataObject) -> None:
    text = grammar.render(rule)
    fields = text.split("|")
    at = data.draw(st.integers(0, len(fields) - 1))
    fields[at] = data.draw(st.sampled_from(["", "Dir=In", "Unknown=1", "Action=Allow", "LPort=1", "x"]))
    changed = "|".join(fields)
    try:
        found = grammar.parse(changed)
    except grammar.RuleTextError:
        return
    assert grammar.render(found) == changed


@given(items())
def test_every_rule_that_is_taken_is_one_to_an_independent_reader(item: Item) -> None:
    try:
        rule = rule_of(item)
    except UnusableRuleError:
        return
    text = grammar.render(rule)
    assert grammar.parse(text) == rule
    read = PretendRule.read(id_of(item), text)
    assert read.blocks == rule.blocks
    assert read.active == rule.active


@given(items(), items())
def test_the_name_of_a_rule_is_its_own(one: Item, other: Item) -> None:
    assert (id_of(one) == id_of(other)) == (one == other)
    assert is_ours(id_of(one))
    assert is_ours(id_of(one).upper())


def samples(template: TemplateId) -> Iterator[Mapping[SettingId, SettingValue]]:
    """For every setting of a profile what a policy says that sets it."""
    for path in every_setting.paths(CATALOG, CATALOG.template(template)):
        found: dict[SettingId, SettingValue] = {}
        put(CATALOG, every_setting.policy(CATALOG, path), found)
        yield found


def test_each_profile_is_written_as_its_golden_file() -> None:
    desired = {
        setting: value
        for sample in samples(PROFILES)
        for setting, value in sample.items()
        if place_of(setting) is not None
    }
    rendered = PROVIDER.render({}, desired, {})
    assert rendered.files[MDM_STORE.path] == (GOLDEN / "windows_firewall.json").read_bytes()
    assert PROVIDER.read(rendered.files) == desired


@pytest.mark.parametrize(
    "setting",
    [each for each in CATALOG.definitions if each.startswith(STORE) or "_networklistmanager_" in each],
    ids=lambda each: each.removeprefix(STORE),
)
def test_every_setting_has_a_place_or_a_reason(tmp_path: Path, setting: SettingId) -> None:
    support = FirewalledMachine(tmp_path).provider.support(FirewalledMachine(tmp_path).host, setting)
    if setting.startswith(f"{RULE_SETTING}_"):
        assert support is None  # a member of a rule is no setting by itself
        return
    assert support is not None
    assert support.applicable == (why_nowhere(setting) is None and CATALOG.definition(setting).supported)
    assert support.applicable or support.reason


def test_foreign_rules_and_values_stay(tmp_path: Path) -> None:
    machine = FirewalledMachine(tmp_path)
    theirs = {"FirewallRules": {"Theirs": RegistryValue.text("v2.30|Action=Allow|Dir=In|")}, "": {}}
    item = Item(((SettingId(f"{RULE_SETTING}_name"), "Ours"),))
    rendered = machine.provider.render({MDM_STORE.path: encode(theirs)}, {RULE_SETTING: (item,)}, {})
    found = decode(rendered.files[MDM_STORE.path] or b"")["FirewallRules"]
    assert found.keys() == {"Theirs", id_of(item)}
    gone = machine.provider.render(rendered.files, {RULE_SETTING: ()}, rendered.kept)
    assert decode(gone.files[MDM_STORE.path] or b"") == theirs
