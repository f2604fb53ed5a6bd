"""Digests are bytes in tables, and texts for everybody else."""

from __future__ import annotations

import pytest
from sqlalchemy import LargeBinary, Text, bindparam, column, insert, literal, select, text, type_coerce
from sqlalchemy.exc import StatementError
from tests.support.samples import NOON, TENANT_ID

from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.onboarding import nonces
from shieldwall.server.storage.statements.bulk import is_one_of, unsought
from shieldwall.server.storage.tables.digests import DIGEST, InHex
from shieldwall.server.storage.tables.schema import check_ins, metadata, used_nonces

ONE, TWO = digest_of_bytes(b"one"), digest_of_bytes(b"two")
kept = used_nonces.c.digest
OURS = used_nonces.c.tenant_id == TENANT_ID
RAW = "SELECT digest FROM used_nonces WHERE tenant_id = :tenant"
NO_DIGESTS = ["", "no", "0", ONE[:-1], ONE + "00", ONE.upper(), f" {ONE}", "\N{SNOWMAN}" * 64, "\0", bytes(32).decode()]


def test_a_table_holds_bytes_and_gives_texts(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        assert nonces.use(connection, TENANT_ID, ONE, NOON)
        assert not nonces.use(connection, TENANT_ID, ONE, NOON)
        assert connection.scalars(select(kept).where(OURS)).all() == [ONE]
        assert connection.scalars(select(InHex(kept)).where(OURS)).all() == [ONE]
        assert bytes(connection.scalars(text(RAW), {"tenant": TENANT_ID}).one()) == bytes.fromhex(ONE)


@pytest.mark.parametrize("wrong", NO_DIGESTS)
def test_what_is_no_digest_is_found_nowhere_and_kept_nowhere(tenant_database: Database, wrong: str) -> None:
    with tenant_database.write() as connection:
        nonces.use(connection, TENANT_ID, ONE, NOON)
        for condition in (kept == wrong, kept.in_([wrong]), is_one_of(connection, kept, [wrong])):
            assert connection.scalars(select(kept).where(condition)).all() == []
        row = {"tenant_id": TENANT_ID, "digest": wrong, "expires_at": NOON}
        with pytest.raises(StatementError, match=r"not|non-hex"), connection.begin_nested():
            connection.execute(insert(used_nonces), row)


def test_digests_are_found_however_they_are_asked_for(tenant_database: Database) -> None:
    with tenant_database.write() as connection:
        nonces.use(connection, TENANT_ID, ONE, NOON)
        nonces.use(connection, TENANT_ID, TWO, NOON)
        for condition in (
            kept == ONE,
            kept == bindparam("one"),
            kept.in_([ONE]),
            unsought(kept) == ONE,
            unsought(kept).in_([ONE]),
            is_one_of(connection, kept, [ONE, "other"]),
            kept.is_not_distinct_from(ONE),
        ):
            values = {"one": ONE} if "one" in condition.compile().params else {}
            assert connection.scalars(select(kept).where(condition), values).all() == [ONE], condition


@pytest.mark.parametrize(
    "other", [column("text", Text()), literal(ONE, Text()), check_ins.c.device_id, type_coerce(kept, LargeBinary)]
)
def test_nothing_of_another_kind_is_compared_with_a_digest(other: object) -> None:
    with pytest.raises(TypeError, match="never be alike"):
        kept == other  # noqa: B015 - it is what is tried


def test_every_column_that_is_named_a_digest_is_one() -> None:
    named = {
        f"{table.name}.{each.name}": each.type is DIGEST
        for table in metadata.sorted_tables
        for each in table.c
        if "digest" in each.name or each.name.endswith("_hash") or each is metadata.tables["status_documents"].c.target
    }
    assert named.pop("app_credentials.secret_hash") is False  # a text that says how it was made
    assert len(named) > 20
    assert all(named.values()), named
