"""``docs/providers.md`` names every setting, every provider and every file that is written."""

from __future__ import annotations

import re
from typing import Final

import pytest
from tests.support.documentation import DOCS, generated, table_rows
from tests.support.generated_documentation import enforcers, provider_tables, providers, refusals

from shieldwall.agent.providers.base import Provider
from shieldwall.catalog.loader import load

PAGE: Final = DOCS / "providers.md"
GROUPS: Final = frozenset(
    {
        "linux_shieldwall_addressgroup",  # replaced by its addresses before a device sees a policy
        "linux_shieldwall_addressgroup_addresses",
        "linux_shieldwall_audit_limits",  # a heading over limits that each answer for themselves
    }
)


def test_every_setting_of_every_template_is_documented() -> None:
    text = PAGE.read_text()

    for template in load().templates.values():
        assert f"`{template.id}`" in text
        for entry in template.settings:
            assert f"`{entry.definition}`" in text


def test_the_tables_are_those_that_the_code_gives() -> None:
    assert generated(PAGE) == provider_tables(), "run: python -m tests.support.generated_documentation"


@pytest.mark.parametrize("provider", providers(), ids=lambda provider: provider.name)
def test_a_provider_is_documented_with_every_file_it_writes(provider: Provider) -> None:
    overview = PAGE.read_text().partition("\n## ")[0]
    (row,) = [row for row in table_rows(overview) if row[0] == f"`{provider.name}`"]

    named = dict.fromkeys("/proc/sys" if path.is_relative_to("/proc/sys") else str(path) for path in provider.files())
    assert re.findall(r"`([^`]+)`", row[2]) == list(named)
    assert f"\n## {provider.name}\n" in PAGE.read_text()


def test_each_provider_answers_the_same_questions() -> None:
    for provider in providers():
        text = PAGE.read_text().partition(f"\n## {provider.name}\n")[2].partition("\n## ")[0]
        for question in ("**Manages**", "**Leaves alone**", "**Undo.**", "**Proof.**", "**Not applicable**"):
            assert question in text, f"{provider.name}: {question}"


def test_every_provider_enforces_something() -> None:
    settings = [entry.definition for template in load().templates.values() for entry in template.settings]

    assert {name for setting in settings for name in enforcers(setting)} == {each.name for each in providers()}


def test_every_setting_for_linux_is_enforced_or_says_why_not_and_stands_in_a_table() -> None:
    text = PAGE.read_text()
    silent = set()
    for setting in load().definitions:
        if setting.startswith("linux_") and "_item_" not in setting and setting not in GROUPS:
            assert f"`{setting}`" in text, setting
            if not enforcers(setting) and not refusals(setting):
                silent.add(setting)

    assert silent == set()
