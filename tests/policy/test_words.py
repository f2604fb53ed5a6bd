"""Laws of values in words: one line per item, what it is first, and nothing that somebody decided left unsaid."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import policies as p

from shieldwall.catalog.model import Catalog, Kind
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import PolicyDocument, SettingInstance
from shieldwall.policy.flatten import flatten
from shieldwall.policy.values import Item, SettingValue
from shieldwall.policy.words import category_of, in_words, lines_of, name_of

RULE = f"{p.RULES}_item_"
EXCLUSION = f"{p.EXCLUSIONS}_item_"
THREAT = f"{p.THREAT_TYPES}_item_"


def lines(*settings: SettingInstance) -> tuple[str, ...]:
    """The lines of a policy with a single setting."""
    ((setting, value),) = flatten(p.catalog(), p.document(1, *settings)).items()
    return lines_of(p.catalog(), setting, value)


def rule(name: str, action: str, *others: SettingInstance) -> str:
    (line,) = lines(p.items(p.RULES, p.firewall_rule(name, action, *others)))
    return line


def test_a_firewall_rule_reads_name_action_and_what_it_is_about() -> None:
    telnet = (
        p.choice(f"{RULE}enabled", "_1"),
        p.choice(f"{RULE}direction", "_in"),
        p.choice(f"{RULE}protocol", "_tcp"),
        p.texts(f"{RULE}localports", "23"),
    )

    assert rule("Block Telnet", "block", *telnet) == "Block Telnet: block in tcp, local ports 23"


def test_a_rule_that_is_switched_off_says_so() -> None:
    assert rule("Block Telnet", "block", p.choice(f"{RULE}enabled", "_0")) == "Block Telnet: block (enabled: no)"


def test_a_protocol_that_is_any_goes_without_saying() -> None:
    assert rule("SSH", "allow", p.choice(f"{RULE}protocol", "_any")) == "SSH: allow"


def test_several_ports_stay_one_line() -> None:
    assert rule("Web", "allow", p.texts(f"{RULE}localports", "80", "443")) == "Web: allow, local ports 443, 80"


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (p.excluded_path("/srv/a"), "Path /srv/a"),
        (
            (
                p.choice(
                    f"{EXCLUSION}$type",
                    "_0",
                    p.text(f"{EXCLUSION}path", "/srv/B"),
                    p.choice(f"{EXCLUSION}isdirectory", "_true"),
                ),
            ),
            "Path /srv/B (is directory)",
        ),
        (
            (p.choice(f"{EXCLUSION}$type", "_1", p.text(f"{EXCLUSION}extension", "Qcow2")),),
            "File extension Qcow2",
        ),
    ],
)
def test_an_exclusion_reads_kind_and_value(item: tuple[SettingInstance, ...], line: str) -> None:
    assert lines(p.items(p.EXCLUSIONS, item)) == (line,)


def test_a_threat_type_comes_before_what_is_done_about_it() -> None:
    threat = (p.choice(f"{THREAT}key", "_0"), p.choice(f"{THREAT}value", "_1"))

    assert lines(p.items(p.THREAT_TYPES, threat)) == ("potentially_unwanted_application: block",)


def test_an_option_goes_by_its_name() -> None:
    assert lines(p.choice(p.LEVEL, "_0")) == ("Realtime",)


def test_a_secret_is_never_written() -> None:
    definition = msgspec.structs.replace(p.catalog().definition(p.LEVEL), kind=Kind.SIMPLE_SECRET, options=())
    catalog = Catalog(version="1", definitions={p.LEVEL: definition}, templates={})

    assert in_words(catalog, p.LEVEL, "hunter2") == "a secret"
    assert "hunter2" not in in_words(catalog, p.EXCLUSIONS, (Item(((p.LEVEL, "hunter2"),)),))


def test_a_list_of_texts_has_a_line_for_each() -> None:
    assert lines(p.texts(p.FILE_SYSTEMS, "nfs", "fuse")) == ("fuse", "nfs")


def test_an_empty_list_has_no_line_and_one_word() -> None:
    assert lines_of(p.catalog(), p.FILE_SYSTEMS, ()) == ()
    assert in_words(p.catalog(), p.FILE_SYSTEMS, ()) == "none"


def test_a_category_tells_settings_of_one_name_apart() -> None:
    network = SettingId("linux_mdatp_managed_networkprotection_enforcementlevel")

    assert name_of(p.catalog(), p.LEVEL) == name_of(p.catalog(), network)
    assert category_of(p.catalog(), p.LEVEL) != category_of(p.catalog(), network)


def test_a_category_that_repeats_the_name_is_left_out() -> None:
    assert category_of(p.catalog(), p.RULES) == ""


def test_what_the_catalog_does_not_know_goes_by_its_id() -> None:
    unknown = SettingId("linux_of_tomorrow")

    assert name_of(p.catalog(), unknown) == "linux_of_tomorrow"
    assert category_of(p.catalog(), unknown) == ""
    assert lines_of(p.catalog(), unknown, Item(((unknown, "x"),))) == ("Linux_of_tomorrow x",)


def texts_in(value: SettingValue) -> list[str]:
    """Every text inside a value that somebody wrote, and no option's id."""
    match value:
        case Item(members=members):
            return [text for _, each in members for text in texts_in(each)]
        case tuple():
            return [text for each in value for text in texts_in(each)]
        case str() if not value.startswith("linux_"):
            return [value]
        case int():
            return [str(value)]
        case _:
            return []


@given(p.documents(at_most=1))
def test_every_text_and_number_of_a_policy_is_in_its_lines(documents: list[PolicyDocument]) -> None:
    (document,) = documents
    for setting, value in flatten(p.catalog(), document).items():
        written = "\n".join(lines_of(p.catalog(), setting, value))
        assert all(text in written for text in texts_in(value))
        assert "linux_mdatp" not in written, "an id is no word"


@given(p.documents(at_most=1))
def test_a_list_has_as_many_lines_as_items_and_no_two_are_alike(documents: list[PolicyDocument]) -> None:
    (document,) = documents
    for setting, value in flatten(p.catalog(), document).items():
        written = lines_of(p.catalog(), setting, value)
        assert len(written) == (len(value) if isinstance(value, tuple) else 1)
        assert len(set(written)) == len(written)


JUNK = st.recursive(
    st.text(max_size=8) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(
            st.sampled_from([*map(SettingId, p.catalog().definitions), SettingId("?")]), inner, max_size=3
        ).map(lambda members: Item(tuple(sorted(members.items()))))
    ),
    max_leaves=8,
)


@given(st.sampled_from(sorted(p.catalog().definitions)), JUNK)
def test_any_value_whatever_its_shape_can_be_written(setting: SettingId, value: SettingValue) -> None:
    assert isinstance(in_words(p.catalog(), setting, value), str)
