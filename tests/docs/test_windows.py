"""``docs/windows-macos.md`` says of every setting where it lands and how a person sees it."""

from __future__ import annotations

from tests.support.documentation import generated
from tests.support.windows_defender import CATALOG
from tests.support.windows_documentation import PAGE, windows_tables

from shieldwall.agent.providers.windows_defender.landings import landings


def test_the_tables_are_those_that_the_code_gives() -> None:
    assert generated(PAGE) == windows_tables(), "run: python -m tests.support.generated_documentation"


def test_every_setting_of_defender_stands_there_with_a_way_to_see_it() -> None:
    rows = [line for line in generated(PAGE)["windows-defender-settings"].splitlines() if line.startswith("| ")]

    for setting in landings(CATALOG):
        (row, *_) = [row for row in rows if f"`{setting}`" in row]
        assert row.rsplit("|", 2)[1].strip(), f"{setting}: nothing says how to see it"
