"""The whole description of the administrators' APIs, made without a test: for the documentation."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.admin import create_admin_world
from tests.support.described import described

from shieldwall.server.storage.database import Database
from shieldwall.server.storage.schema import metadata


@cache
def api_document() -> dict[str, Any]:
    """Put the application together over an empty database, and describe it."""
    with TemporaryDirectory() as folder:
        database = Database.at(Path(folder) / "shieldwall.db")
        with database.write() as connection:
            metadata.create_all(connection)
        document = described(create_admin_world(database, Path(folder) / "data").application).document
        database.close()
    return document
