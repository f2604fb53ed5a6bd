"""The signer's memory: numbers never repeat or fall, revisions never change."""

from __future__ import annotations

import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.scratch import scratch
from tests.support.trust import OTHER_POLICY, OTHER_TENANT, POLICY, TENANT

from shieldwall.contract.ids import Digest
from shieldwall.server.signer.errors import (
    CounterExhaustedError,
    KeyFilesError,
    LedgerError,
    LedgerFullError,
    RevisionTakenError,
)
from shieldwall.server.signer.ledger import BLOCK, Ledger

FIRST, SECOND = Digest("1" * 64), Digest("2" * 64)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(min_value=0, max_value=BLOCK + 2), max_size=4))
def test_numbers_rise_strictly_through_any_restarts(lives: list[int]) -> None:
    with tempfile.TemporaryDirectory(dir=scratch()) as directory:
        seen: list[int] = []
        for count in lives:
            with closing(Ledger(Path(directory))) as ledger:
                seen += [ledger.next_number(TENANT, 1) for _ in range(count)]

    assert seen == sorted(set(seen))
    assert all(number > 0 for number in seen)


def test_a_number_is_on_disk_before_it_is_given_out(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        for _ in range(BLOCK + 1):
            number = ledger.next_number(TENANT, 1)
            if number % BLOCK == 1:
                with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as other:
                    (reserved,) = other.execute("select reserved from tenant_manifest_number").fetchone()
                assert reserved >= number


def test_every_commit_waits_for_the_disk(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        assert ledger._database.execute("pragma synchronous").fetchone() == (2,)


def test_incarnations_count_for_themselves(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        assert [ledger.next_number(TENANT, 1), ledger.next_number(TENANT, 2), ledger.next_number(TENANT, 1)] == [
            1,
            1,
            2,
        ]


def test_tenants_count_for_themselves(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        assert [ledger.next_number(TENANT, 1) for _ in range(BLOCK + 1)][-1] == BLOCK + 1
        assert ledger.next_number(OTHER_TENANT, 1) == 1
        ledger.claim_revision(TENANT, POLICY, 1, FIRST)
        ledger.claim_revision(OTHER_TENANT, POLICY, 1, SECOND)

    with closing(Ledger(tmp_path)) as ledger:
        assert ledger.next_number(OTHER_TENANT, 1) == BLOCK + 1


def test_what_was_written_for_one_tenant_stays_its_own(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as before:
        before.executescript(
            """
            create table manifest_number (
                incarnation integer primary key, reserved integer not null check (reserved >= 0)
            ) strict;
            create table policy_revision (
                policy_id text not null, revision integer not null, digest text not null,
                primary key (policy_id, revision)
            ) strict, without rowid;
            insert into manifest_number values (1, 3000);
            """
        )
        before.execute("insert into policy_revision values (?, 1, ?)", (POLICY, FIRST))
        before.commit()

    for _ in range(2):
        with closing(Ledger(tmp_path)) as ledger:
            ledger.hand_over(TENANT)
            assert ledger.next_number(TENANT, 1) > 3000
            with pytest.raises(RevisionTakenError):
                ledger.claim_revision(TENANT, POLICY, 1, SECOND)
            assert ledger.next_number(OTHER_TENANT, 2) % BLOCK == 1


def test_two_ledgers_over_one_file_never_give_out_the_same_number(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as first, closing(Ledger(tmp_path)) as second, ThreadPoolExecutor(4) as threads:
        seen = list(threads.map(lambda turn: (first, second)[turn % 2].next_number(TENANT, 1), range(4 * BLOCK)))

    assert len(set(seen)) == len(seen)


def test_numbers_end_where_the_next_incarnation_begins(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        ledger.next_number(TENANT, 1)
        ledger._database.execute("update tenant_manifest_number set reserved = (1 << 40) - 1")
        ledger._next.clear()

        with pytest.raises(CounterExhaustedError):
            ledger.next_number(TENANT, 1)


def test_a_revision_is_bound_for_ever(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        ledger.claim_revision(TENANT, POLICY, 1, FIRST)
        ledger.claim_revision(TENANT, POLICY, 2, SECOND)
        ledger.claim_revision(TENANT, OTHER_POLICY, 1, SECOND)

    with closing(Ledger(tmp_path)) as ledger:
        ledger.claim_revision(TENANT, POLICY, 1, FIRST)
        with pytest.raises(RevisionTakenError):
            ledger.claim_revision(TENANT, POLICY, 1, SECOND)


def test_of_many_documents_that_want_one_revision_one_gets_it(tmp_path: Path) -> None:
    def claim(number: int) -> bool:
        try:
            ledger.claim_revision(TENANT, POLICY, 1, Digest(f"{number:064x}"))
        except RevisionTakenError:
            return False
        return True

    with closing(Ledger(tmp_path)) as ledger, ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(claim, range(40))) == 1


def test_what_cannot_be_written_is_not_given_out(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        ledger._database.execute("pragma query_only = on")

        with pytest.raises(LedgerError):
            ledger.next_number(TENANT, 1)
        with pytest.raises(LedgerError):
            ledger.claim_revision(TENANT, POLICY, 1, FIRST)


def test_a_damaged_ledger_is_not_replaced(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "ledger.sqlite3").write_bytes(b"garbage" * 1000)

    with pytest.raises(LedgerError):
        Ledger(tmp_path)


def test_a_directory_open_to_others_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    with pytest.raises(KeyFilesError):
        Ledger(tmp_path)


def test_a_ledger_without_room_gives_out_nothing_and_goes_on_once_there_is_some(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        before = ledger.next_number(TENANT, 1)
        (pages,) = ledger._database.execute("pragma page_count").fetchone()
        ledger._database.execute(f"pragma max_page_count = {pages}")
        claimed: list[int] = []
        with pytest.raises(LedgerFullError):
            claim_on(ledger, claimed)

        ledger._database.execute("pragma max_page_count = 1000000")

        ledger.claim_revision(TENANT, POLICY, len(claimed) + 1, SECOND)
        with pytest.raises(RevisionTakenError):
            ledger.claim_revision(TENANT, POLICY, len(claimed), SECOND)
        assert ledger.next_number(TENANT, 1) == before + 1


def claim_on(ledger: Ledger, claimed: list[int]) -> None:
    while True:
        ledger.claim_revision(TENANT, POLICY, len(claimed) + 1, FIRST)
        claimed.append(len(claimed) + 1)


def test_an_incarnation_begins_where_it_is_told_to_and_goes_on_from_there(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        assert [ledger.next_number(TENANT, 2, first=5_000) for _ in range(2)] == [5_000, 5_001]
    with closing(Ledger(tmp_path)) as ledger:
        assert ledger.next_number(TENANT, 2, first=9_000) == 5_000 + BLOCK
