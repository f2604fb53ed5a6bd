"""Slices of a fleet as conditions: which rows of the inventory are in one, and which check-ins are of its devices."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, or_, select

from shieldwall.contract.ids import GroupId, TenantId
from shieldwall.server.storage.groups.membership_conditions import ids_of_members, of_groups
from shieldwall.server.storage.inventory.inventory_rows import SEPARATOR
from shieldwall.server.storage.tables.schema import check_ins, inventory

Conditions: TypeAlias = tuple[ColumnElement[bool], ...]
_ESCAPE = "\\"


def of_inventory(*, groups: Collection[GroupId], tags: Collection[str], **values: Collection[Any]) -> Conditions:
    """Say which rows are of members of one of these groups, have one of these tags, and have these values.

    Whatever is empty asks nothing; ``values`` are named by their columns.
    """
    found: list[ColumnElement[bool]] = [
        inventory.c[column].in_(sorted(wanted)) for column, wanted in values.items() if wanted
    ]
    if groups:
        found.append(inventory.c.device_id.in_(ids_of_members(of_groups(groups))))
    if tags:
        marks = [f"{SEPARATOR}{tag.casefold()}{SEPARATOR}" for tag in sorted(tags)]
        found.append(or_(*(inventory.c.tags.contains(mark, autoescape=True, escape=_ESCAPE) for mark in marks)))
    return tuple(found)


def of_check_ins(tenant_id: TenantId, conditions: Conditions) -> Conditions:
    """Say the same of the check-ins of these devices."""
    if not conditions:
        return ()
    theirs = select(inventory.c.device_id).where(inventory.c.tenant_id == tenant_id, *conditions)
    return (check_ins.c.device_id.in_(theirs),)
