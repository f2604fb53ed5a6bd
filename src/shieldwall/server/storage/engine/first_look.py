"""A first look at a database, with nothing loaded that works with databases: is its schema the newest already?

It nearly always is when a server starts, and then its processes need not wait for what would bring it there.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

MIGRATIONS: Final = Path(__file__).parent.parent / "migrations"
_REVISION: Final = re.compile(r'^revision\b[^=\n]*= "(\w+)"', re.MULTILINE)
_SQLITE: Final = "sqlite:///"
_WAIT_SECONDS: Final = 1.0


def newest(migrations: Path = MIGRATIONS) -> str:
    """Return the newest revision of this program: the file names of revisions are in their order."""
    last = max((migrations / "versions").glob("[0-9]*.py"), key=lambda path: path.name)
    found = _REVISION.search(last.read_text(encoding="utf-8"))
    return "" if found is None else found[1]


def is_surely_newest(url: str) -> bool:
    """Say whether the schema of a database in a file is the newest; where that cannot be told so easily, say no.

    It only reads: a log that a killed process left is not copied into the database, which would take its time.
    """
    if not url.startswith(_SQLITE):
        return False
    try:
        with closing(_opened(url.removeprefix(_SQLITE))) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error:
        return False
    return found == [(newest(),)]


def _opened(path: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=_WAIT_SECONDS)
