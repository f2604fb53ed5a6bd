"""The ids under which Graph names permissions: for applications themselves (``Role``), and for people (``Scope``).

They are ours, made of the names; clients look them up in ``/servicePrincipals``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

from shieldwall.server.access.permissions import PERMISSIONS, RESERVED
from shieldwall.server.directory.resource_names import GRAPH_APP_ID

NAMES: Final = tuple(sorted((*PERMISSIONS, *RESERVED)))


class Sort(StrEnum):
    """For whom a permission is."""

    ROLE = "Role"
    SCOPE = "Scope"


def id_of(name: str, sort: Sort) -> str:
    """Return the id of a permission."""
    return str(uuid5(UUID(GRAPH_APP_ID), f"{sort.value}/{name}"))


BY_ID: Final[Mapping[tuple[str, Sort], str]] = {(id_of(name, sort), sort): name for name in NAMES for sort in Sort}
"""Permissions by id and sort."""
