"""Fixtures that run a test on both engines: SQLite in a file and a real PostgreSQL.

A test directory takes them over in its ``conftest.py``::

    from tests.support.databases import bare_database, database, database_url

    __all__ = ["bare_database", "database", "database_url"]

``database`` has the schema and a second tenant (``second_tenant``), and is lent to each test (``lent_databases``).
``bare_database`` has the schema alone, ``migrated_database_url`` names a database with the schema as migrations make
it, and ``database_url`` one that is still empty: these are new.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.lent_databases import LentDatabase, LentPostgresql, LentSqlite
from tests.support.migrated import migrated_sqlite
from tests.support.postgresql import PostgresqlServer, find_programs

from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tables.schema import metadata

_SERVER = pytest.StashKey[PostgresqlServer]()
_LENT = pytest.StashKey[dict[str, LentDatabase]]()

_POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.postgresql)
_ENGINES = ("sqlite", _POSTGRESQL)

on_postgresql_alone = pytest.mark.parametrize("database", [_POSTGRESQL], indirect=True)
"""For what has no counterpart on SQLite: it has one writer at a time, so nobody commits in between."""
on_sqlite_alone = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For what the engine has no part in."""


@pytest.fixture(params=_ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of the test's own, with nothing in it."""
    yield from _urls(request, tmp_path)


@pytest.fixture(params=_ENGINES)
def migrated_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of the test's own, to which every migration was applied."""
    yield from _migrated_urls(request, tmp_path)


@pytest.fixture(scope="module", params=_ENGINES)
def shared_database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same for all tests of a module, where each looks at its own rows alone."""
    yield from _urls(request, tmp_path_factory.mktemp("database"))


@pytest.fixture(scope="module", params=_ENGINES)
def shared_migrated_database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The same for all tests of a module, where each looks at its own rows alone."""
    yield from _migrated_urls(request, tmp_path_factory.mktemp("database"))


def _urls(request: pytest.FixtureRequest, directory: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{directory / 'shieldwall.db'}"
        return
    server = _server(request.config)
    url = server.create_database()
    yield url
    server.drop_database(url)


def _migrated_urls(request: pytest.FixtureRequest, directory: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield migrated_sqlite(directory / "shieldwall.db")
        return
    server = _server(request.config)
    url = server.create_migrated_database()
    yield url
    server.drop_database(url)


@pytest.fixture
def bare_database(database_url: str) -> Iterator[Database]:
    """A database of the test's own with every table and no row, for tests of the engine itself."""
    opened = Database(database_url)
    with opened.write() as connection:
        metadata.create_all(connection)
    yield opened
    opened.close()


@pytest.fixture(params=_ENGINES)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database with every table, and with no rows but those of Fabrikam, which must not change."""
    with _lent(request.config, request.param).lent() as lent:
        yield lent


def _lent(config: pytest.Config, engine: str) -> LentDatabase:
    made = config.stash.setdefault(_LENT, {})
    if engine not in made:
        made[engine] = lent = LentSqlite() if engine == "sqlite" else LentPostgresql(_server(config))
        config.add_cleanup(lent.close)
    return made[engine]


def _server(config: pytest.Config) -> PostgresqlServer:
    if _SERVER not in config.stash:
        programs = find_programs()
        if programs is None:
            reason = "PostgreSQL is not installed (Debian package postgresql)"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        config.stash[_SERVER] = server = PostgresqlServer(programs)
        config.add_cleanup(server.stop)
    return config.stash[_SERVER]
