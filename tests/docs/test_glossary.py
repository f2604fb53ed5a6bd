"""The glossary has the words that travel."""

from __future__ import annotations

import re
from typing import Final

from tests.support.documentation import DOCS, table_rows

from shieldwall.contract.status import SEVERITY, SettingState
from shieldwall.server.graph.resources import MANAGEMENT_TYPE
from shieldwall.trust.roots import Role

TEXT: Final = (DOCS / "glossary.md").read_text()


def test_the_states_of_a_setting_are_all_there() -> None:
    section = TEXT.partition("## States of a setting")[2].partition("\n## ")[0]
    named = [re.findall(r"`(\w+)`", row[0]) for row in table_rows(section)]

    assert {name for names in named for name in names} == {state.value for state in SettingState}


def test_the_order_of_gravity_is_that_of_the_code() -> None:
    spoken = {
        SettingState.ERROR: "error",
        SettingState.CONFLICT: "then conflict",
        SettingState.PENDING: "pending",
        SettingState.SUCCEEDED: "succeeded",
        SettingState.NOT_APPLICABLE: "not applicable",
    }

    assert ", ".join(spoken[state] for state in reversed(SEVERITY)) in TEXT


def test_roles_of_keys_and_the_management_type_are_named() -> None:
    (row,) = [row for row in table_rows(TEXT) if row[0] == "Role"]

    assert all(role.value in row[2] for role in Role)
    assert f"`managementType` = `{MANAGEMENT_TYPE}`" in TEXT


def test_no_word_is_explained_twice() -> None:
    words = [row[0] for row in table_rows(TEXT)]

    assert sorted(set(words)) == sorted(words)
