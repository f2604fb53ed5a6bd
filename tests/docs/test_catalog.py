"""``docs/catalog.md`` counts what the catalog holds and explains the words in which it speaks."""

from __future__ import annotations

import re
from typing import Final

from tests.support.catalog_documentation import below, catalog_tables
from tests.support.documentation import DOCS, generated, table_rows

from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Confidence, Merge, Strength
from shieldwall.contract.ids import SettingId

PAGE: Final = DOCS / "catalog.md"


def section(title: str) -> str:
    return PAGE.read_text().partition(f"## {title}\n")[2].partition("\n## ")[0]


def words_in(title: str) -> set[str]:
    """Return the words explained in the table of a section."""
    return {row[0].strip("`") for row in table_rows(section(title))}


def test_the_tables_are_those_that_the_catalog_gives() -> None:
    assert generated(PAGE) == catalog_tables(), "run: python -m tests.support.generated_documentation"


def test_every_profile_has_one_row() -> None:
    shown = [re.findall(r"`([^`]+_\d+)`", row[2]) for row in table_rows(generated(PAGE)["profiles"])]

    assert sorted(name for names in shown for name in names) == sorted(load().templates)


def test_rows_count_what_is_below_an_option_and_inside_a_group() -> None:
    nested = below(load(), [SettingId("linux_shieldwall_firewall_public_enablefirewall")])

    assert SettingId("linux_shieldwall_firewall_public_icmpechorate") in nested
    assert len(below(load(), [SettingId("linux_mdatp_managed_antivirusengine_exclusions")])) == 5


def test_the_totals_are_the_sum_of_the_platforms() -> None:
    *platforms, together = [[int(cell.split()[0]) for cell in row[1:]] for row in table_rows(generated(PAGE)["totals"])]

    assert [sum(column) for column in zip(*platforms, strict=True)] == together
    assert together[1] == len(load().definitions)


def test_the_version_shown_is_the_one_that_ships() -> None:
    assert f"this is `{load().version}`" in PAGE.read_text()


def test_every_word_of_the_catalog_is_explained_and_no_other() -> None:
    assert words_in("How well a fact is founded") == {each.value for each in Confidence}
    assert words_in("Several policies") == {each.value for each in Merge}
    told = set(Strength.__struct_encode_fields__) - {"confidence", "blocks", "off"}
    assert words_in("Strength") == told


def test_every_place_of_our_own_settings_is_in_the_vocabulary() -> None:
    shown = re.findall(r"`((?:firewall|hardening|audit|indicators)[.][^`]+)`", section("Landing"))
    patterns = [
        re.compile(
            re.sub(r"<\w+>", r"\\w+", re.escape(place).replace(r"\<", "<").replace(r"\>", ">")).replace("…", ".+")
        )
        for place in shown
    ]
    leaves = [
        definition.landing
        for definition in load().definitions.values()
        if definition.id.startswith("linux_shieldwall_") and definition.landing and not definition.children
    ]

    assert len(patterns) >= 7
    assert [place for place in leaves if not any(pattern.fullmatch(place) for pattern in patterns)] == []
