"""Reusable settings, and which policies refer to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from shieldwall.contract import strict_json
from shieldwall.contract.ids import PolicyId, ReusableSettingId, SettingId, TenantId
from shieldwall.contract.settings import SettingInstance
from shieldwall.server.storage.errors import NotFoundError, StillReferencedError
from shieldwall.server.storage.records import Page, ReusableSetting
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.rows import columns_of, portions
from shieldwall.server.storage.tables.schema import policies, policy_references, reusable_settings

_REFER: Final = insert(policy_references).values(
    tenant_id=select(policies.c.tenant_id).where(policies.c.id == bindparam("of_policy")).scalar_subquery()
)


def add(connection: Connection, made: ReusableSetting) -> None:
    """Keep a new reusable setting."""
    connection.execute(insert(reusable_settings).values(_columns(made)))


def put(connection: Connection, changed: ReusableSetting) -> None:
    """Replace a reusable setting that is there. Raises: NotFoundError."""
    statement = update(reusable_settings).where(reusable_settings.c.id == changed.id).values(_columns(changed))
    if connection.execute(statement).rowcount == 0:
        raise _absent(changed.id)


def find(connection: Connection, setting_id: ReusableSettingId) -> ReusableSetting | None:
    """Return a reusable setting, ``None`` when there is none of this id."""
    return next(iter(find_many(connection, [setting_id])), None)


def find_many(connection: Connection, setting_ids: Collection[ReusableSettingId]) -> tuple[ReusableSetting, ...]:
    """Return those of the reusable settings that exist, ordered by id."""
    found: list[ReusableSetting] = []
    for portion in portions(sorted(set(setting_ids))):
        query = select(reusable_settings).where(reusable_settings.c.id.in_(portion)).order_by(reusable_settings.c.id)
        found += map(_setting, connection.execute(query))
    return tuple(found)


def list_settings(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[ReusableSetting, ...]:
    """Return one page of a tenant's reusable settings, ordered by id unless the page says otherwise."""
    query = select(reusable_settings).where(reusable_settings.c.tenant_id == tenant_id)
    return tuple(map(_setting, paging.rows(connection, query, page, reusable_settings.c.id)))


def remove(connection: Connection, setting_id: ReusableSettingId) -> None:
    """Remove a reusable setting.

    Raises:
        NotFoundError: There is no such reusable setting.
        StillReferencedError: A policy refers to it.
    """
    try:
        result = connection.execute(delete(reusable_settings).where(reusable_settings.c.id == setting_id))
    except IntegrityError as error:
        raise StillReferencedError(f"A policy refers to the reusable setting {setting_id}.") from error
    if result.rowcount == 0:
        raise _absent(setting_id)


def refer(connection: Connection, policy_id: PolicyId, setting_ids: Iterable[ReusableSettingId]) -> None:
    """Make these the reusable settings that a policy refers to, and no others."""
    connection.execute(delete(policy_references).where(policy_references.c.policy_id == policy_id))
    rows = [
        {"policy_id": policy_id, "reusable_setting_id": setting_id, "of_policy": policy_id}
        for setting_id in sorted(set(setting_ids))
    ]
    if rows:
        connection.execute(_REFER, rows)


def referring(connection: Connection, setting_id: ReusableSettingId) -> tuple[PolicyId, ...]:
    """Return the policies that refer to a reusable setting, ordered by id."""
    query = (
        select(policy_references.c.policy_id)
        .where(policy_references.c.reusable_setting_id == setting_id)
        .order_by(policy_references.c.policy_id)
    )
    return tuple(map(PolicyId, connection.scalars(query)))


def count_referring(connection: Connection, setting_ids: Collection[ReusableSettingId]) -> dict[ReusableSettingId, int]:
    """Return how many policies refer to each of these reusable settings."""
    counted = dict.fromkeys(setting_ids, 0)
    for portion in portions(sorted(counted)):
        query = (
            select(policy_references.c.reusable_setting_id, func.count())
            .where(policy_references.c.reusable_setting_id.in_(portion))
            .group_by(policy_references.c.reusable_setting_id)
        )
        for setting, count in connection.execute(query):
            counted[setting] = count
    return counted


def _absent(setting_id: ReusableSettingId) -> NotFoundError:
    return NotFoundError(f"There is no reusable setting {setting_id}.")


def _columns(setting: ReusableSetting) -> dict[str, Any]:
    return columns_of(setting, setting_instance=strict_json.encode(setting.setting_instance))


def _setting(row: Row[Any]) -> ReusableSetting:
    columns = row._asdict()
    parsed = {
        "setting_definition_id": SettingId(columns["setting_definition_id"]),
        # strict_json wants a class; a union of them is one to msgspec alone
        "setting_instance": strict_json.decode(b"[%s]" % columns["setting_instance"], tuple[SettingInstance])[0],
    }
    return ReusableSetting(**(columns | parsed))
