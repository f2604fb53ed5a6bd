from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.databases import migrated_database_url
from tests.support.life import Life, a_life

__all__ = ["migrated_database_url"]


@pytest.fixture
def life(tmp_path: Path, migrated_database_url: str) -> Iterator[Life]:
    """A server with its administrator, on each engine."""
    with a_life(tmp_path, migrated_database_url) as made:
        yield made
