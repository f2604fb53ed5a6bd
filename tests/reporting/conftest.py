from __future__ import annotations

from tests.manager.conftest import catalog, world
from tests.support.databases import bare_database, database, database_url

__all__ = ["bare_database", "catalog", "database", "database_url", "world"]
