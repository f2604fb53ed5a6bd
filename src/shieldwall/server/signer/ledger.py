"""What the signer must never forget: how far manifests are numbered, and which document a policy's revision is.

Each tenant counts for itself, so that no number tells one of another's doings.

SQLite with ``synchronous=FULL``: what was answered is on the disk. Numbers are reserved in blocks before the first of a
block is given out, so one write serves many manifests, and a crash skips numbers but never repeats one.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shieldwall.contract.ids import Digest, PolicyId, TenantId
from shieldwall.server.signer.errors import (
    CounterExhaustedError,
    LedgerError,
    LedgerFullError,
    RevisionTakenError,
)
from shieldwall.server.signer.key_files import check_private_directory
from shieldwall.trust.verification import COUNTER_BITS

BLOCK: Final = 1_000
_SCHEMA: Final = (
    """create table if not exists tenant_manifest_number (
        tenant_id text not null, incarnation integer not null, reserved integer not null check (reserved >= 0),
        primary key (tenant_id, incarnation)
    ) strict, without rowid""",
    """create table if not exists tenant_policy_revision (
        tenant_id text not null, policy_id text not null, revision integer not null, digest text not null,
        primary key (tenant_id, policy_id, revision)
    ) strict, without rowid""",
)
_OF_ONE_TENANT: Final = "select 1 from sqlite_schema where type = 'table' and name = 'manifest_number'"
_HAND_OVER: Final = (
    """insert into tenant_manifest_number (tenant_id, incarnation, reserved)
        select :tenant_id, incarnation, reserved from manifest_number""",
    """insert into tenant_policy_revision (tenant_id, policy_id, revision, digest)
        select :tenant_id, policy_id, revision, digest from policy_revision""",
)
_DROP: Final = ("drop table manifest_number", "drop table policy_revision")
_RESERVE: Final = """
    insert into tenant_manifest_number (tenant_id, incarnation, reserved)
    values (:tenant_id, :incarnation, :first - 1 + :block)
    on conflict (tenant_id, incarnation) do update set reserved = reserved + :block
    returning reserved
"""
_CLAIM: Final = """
    insert into tenant_policy_revision (tenant_id, policy_id, revision, digest)
    values (:tenant_id, :policy_id, :revision, :digest)
    on conflict (tenant_id, policy_id, revision) do nothing
"""
_SIGNED: Final = """
    select digest from tenant_policy_revision
    where tenant_id = :tenant_id and policy_id = :policy_id and revision = :revision
"""


class Ledger:
    """The signer's memory; safe to use from many threads. After a LedgerError the process must end."""

    def __init__(self, directory: Path) -> None:
        """Open the memory in a directory of the signer's own. Raises: LedgerError, KeyFilesError."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private_directory(directory)
        path = directory / "ledger.sqlite3"
        self._lock = threading.Lock()
        self._next: dict[tuple[TenantId, int], range] = {}
        self.is_new: Final = not path.exists() or path.stat().st_size == 0
        """Whether it remembers nothing: right on the first start alone."""
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            # No implicit transactions: each one is begun and committed below, so that a failed commit is seen.
            self._database = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = full")
            for statement in _SCHEMA:
                self._database.execute(statement)
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(f"The ledger {path} cannot be opened: {error}.") from error

    def hand_over(self, tenant_id: TenantId) -> None:
        """Give what was written down before there were several tenants to the one it was written for.

        Raises:
            LedgerError: It could not be made durable.
        """
        with self._lock, self._transaction():
            if self._database.execute(_OF_ONE_TENANT).fetchone() is None:
                return
            for statement in _HAND_OVER:
                self._database.execute(statement, {"tenant_id": tenant_id})
            for statement in _DROP:
                self._database.execute(statement)

    def next_number(self, tenant_id: TenantId, incarnation: int, *, first: int = 1) -> int:
        """Return a manifest number of this tenant and incarnation that was never given out and never will be again.

        ``first`` is where they begin, if none of them was given out yet.

        Raises:
            LedgerError, LedgerFullError: It could not be made durable.
            CounterExhaustedError: The incarnation has no numbers left.
        """
        with self._lock:
            numbers = self._next.get((tenant_id, incarnation), range(0))
            if not numbers:
                numbers = self._reserve(tenant_id, incarnation, first)
            self._next[tenant_id, incarnation] = numbers[1:]
            return numbers[0]

    def claim_revision(self, tenant_id: TenantId, policy_id: PolicyId, revision: int, digest: Digest) -> None:
        """Bind a policy's revision to one document for ever.

        Raises:
            LedgerError, LedgerFullError: It could not be made durable.
            RevisionTakenError: It is bound to another document.
        """
        parameters = {"tenant_id": tenant_id, "policy_id": policy_id, "revision": revision, "digest": digest}
        with self._lock, self._transaction():
            self._database.execute(_CLAIM, parameters)
            (signed,) = self._database.execute(_SIGNED, parameters).fetchone()
        if signed != digest:
            raise RevisionTakenError(f"Revision {revision} of the policy {policy_id} is another document ({signed}).")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit before anything is answered; what cannot be committed ends the signer, but for want of room."""
        try:
            self._database.execute("begin immediate")
            yield
            self._database.execute("commit")
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL and self._is_undone():
                raise LedgerFullError(f"The ledger could not be written: {error}.") from error
            raise LedgerError(f"The ledger could not be written: {error}.") from error

    def _is_undone(self) -> bool:
        """Undo what found no room, and say whether the ledger is what it was before."""
        try:
            if self._database.in_transaction:
                self._database.execute("rollback")
        except sqlite3.Error:
            return False
        return True

    def _reserve(self, tenant_id: TenantId, incarnation: int, first: int) -> range:
        parameters = {"tenant_id": tenant_id, "incarnation": incarnation, "first": first, "block": BLOCK}
        with self._transaction():
            (reserved,) = self._database.execute(_RESERVE, parameters).fetchone()
        if reserved >= 1 << COUNTER_BITS:
            raise CounterExhaustedError(f"All manifest numbers of {tenant_id} in incarnation {incarnation} are used.")
        return range(reserved - BLOCK + 1, reserved + 1)
