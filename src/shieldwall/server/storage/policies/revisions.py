"""Policy revisions: immutable, signed, named by the digest of what was signed. They outlive their policy."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, Row, Text, cast, select

from shieldwall.contract import strict_json
from shieldwall.contract.ids import Digest, PolicyId
from shieldwall.contract.settings import SettingInstance
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.order_terms import OrderTerm
from shieldwall.server.storage.records import Page, PolicyRevision
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.rows import columns_of
from shieldwall.server.storage.tables.schema import policy_revisions

_LARGEST: Final = 2**31 - 1
"""What the column holds; PostgreSQL refuses to compare it with more."""


def add(connection: Connection, revision: PolicyRevision) -> None:
    """Keep a new revision."""
    authored = None if revision.authored is None else strict_json.encode(revision.authored)
    connection.execute(policy_revisions.insert(), columns_of(revision, authored=authored))


def find_many(connection: Connection, digests: Collection[Digest]) -> dict[Digest, PolicyRevision]:
    """Return the revisions that are there, by digest."""
    query = select(policy_revisions).where(policy_revisions.c.digest.in_(list(digests)))
    found = (_revision(row) for row in connection.execute(query))
    return {revision.digest: revision for revision in found}


def get(connection: Connection, policy_id: PolicyId, number: int) -> PolicyRevision:
    """Return one revision of a policy by its number. Raises: NotFoundError."""
    query = select(policy_revisions).where(
        policy_revisions.c.policy_id == policy_id, policy_revisions.c.revision == number
    )
    row = connection.execute(query).one_or_none() if 0 < number <= _LARGEST else None
    if row is None:
        raise NotFoundError(f"The policy {policy_id} has no revision {number}.")
    return _revision(row)


def list_revisions(connection: Connection, policy_id: PolicyId, page: Page) -> tuple[PolicyRevision, ...]:
    """Return revisions of a policy, newest first unless the page says otherwise; ``page.after`` is their number."""
    query = select(policy_revisions).where(policy_revisions.c.policy_id == policy_id)
    number = policy_revisions.c.revision
    if page.order:  # two revisions of a policy never have one number, so it names a row as well as any id
        return tuple(map(_revision, paging.rows(connection, query, page, cast(number, Text()))))
    if page.after is not None:
        query = query.where(number < int(page.after))
    newest = replace(page, after=None, order=(OrderTerm(number, descending=True),))
    return tuple(map(_revision, paging.rows(connection, query, newest, number)))


def _revision(row: Row[Any]) -> PolicyRevision:
    columns = row._asdict()
    if (authored := columns["authored"]) is not None:
        columns["authored"] = strict_json.decode(authored, tuple[SettingInstance, ...])
    return PolicyRevision(**columns)
