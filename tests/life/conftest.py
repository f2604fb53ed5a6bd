from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.databases import database_url
from tests.support.life import Life, a_life

__all__ = ["database_url"]


@pytest.fixture
def life(tmp_path: Path, database_url: str) -> Iterator[Life]:
    """A server with its administrator, on each engine."""
    with a_life(tmp_path, None if database_url.startswith("sqlite") else database_url) as made:
        yield made
