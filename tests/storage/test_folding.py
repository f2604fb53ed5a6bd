"""Texts are found whatever their case, alike on both engines."""

from __future__ import annotations

import pytest
from sqlalchemy import Text, literal, select

from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tables.folding import holds


@pytest.mark.parametrize(
    ("text", "wanted", "is_found"),
    [
        ("Praxis ÄRZTE", "ärzte", True),
        ("Praxis ÄRZTE", "ÄRZTE", True),
        ("Praxis Ärzte", "AXIS ÄR", True),
        ("ΟΔΟΣ", "οδος", True),
        ("Praxis Ärzte", "Arzte", False),
        ("100%_sure", "%_S", True),
        ("100 sure", "%", False),
        ("Straße", "", True),
    ],
)
def test_a_text_is_found_in_any_case_of_any_letters(database: Database, text: str, wanted: str, is_found: bool) -> None:
    with database.read() as connection:
        assert bool(connection.scalar(select(holds(literal(text, Text()), wanted)))) is is_found
