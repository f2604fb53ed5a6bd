from __future__ import annotations

from tests.support.databases import migrated_database_url

__all__ = ["migrated_database_url"]
