"""How many devices of a list there are of each kind: the numbers beside its filters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, case, func, select, true

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.inventory.inventory_conditions import Question, question_of
from shieldwall.server.storage.inventory.inventory_queries import Filter, Health
from shieldwall.server.storage.inventory.inventory_rows import SEPARATOR
from shieldwall.server.storage.tables.schema import inventory

FACETS: Final = (
    "health",
    "state",
    "os",
    "osVersion",
    "managedBy",
    "enrollmentCode",
    "agentVersion",
    "attestation",
    "drifted",
    "tag",
)


def count_facets(
    connection: Connection, tenant_id: TenantId, asked: Filter, facets: Collection[str]
) -> Mapping[str, Mapping[str, int]]:
    """Count the devices that fit by each of these facets; a device counts once for each of its tags."""
    question = question_of(connection, tenant_id, asked)
    columns = {name: column for name, column in _facet_columns(question).items() if name in facets}
    if not columns:
        return {}
    query = select(*columns.values(), func.count()).where(*question.searched()).group_by(*columns.values())
    counts: dict[str, dict[str, int]] = {name: {} for name in columns}
    for *values, number in connection.execute(query):
        for name, value in zip(columns, values, strict=True):
            for word in _words(name, value):
                counts[name][word] = counts[name].get(word, 0) + number
    return counts


def _facet_columns(question: Question) -> Mapping[str, ColumnElement[Any]]:
    health = case(
        (inventory.c.device_id.in_(question.inactive), Health.INACTIVE.value),
        (inventory.c.impaired == true(), Health.IMPAIRED.value),
        else_=Health.ACTIVE.value,
    )
    return {
        "health": health,
        "state": inventory.c.state,
        "os": inventory.c.os_type,
        "osVersion": inventory.c.os_version,
        "managedBy": inventory.c.managed_by,
        "enrollmentCode": inventory.c.enrollment_code,
        "agentVersion": inventory.c.agent_version,
        "attestation": inventory.c.attestation_level,
        "drifted": inventory.c.exposure > 0,
        "tag": inventory.c.tags,
    }


def _words(facet: str, value: Any) -> Sequence[str]:
    match facet:
        case "tag":
            return [tag for tag in value.split(SEPARATOR) if tag]
        case "drifted":
            return ["true" if value else "false"]
        case _:
            return [str(value)]
