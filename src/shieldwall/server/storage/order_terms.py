"""What a listing may be asked beside its size: in which order, and how many there are in all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement


@dataclass(frozen=True, slots=True)
class OrderTerm:
    """One thing that a listing is ordered by.

    ``expression`` orders alike on both engines: a number, a moment, or a text that is folded or compared by its
    characters' numbers. Rows without a value (``nullable``) come before all others, or after them when ``descending``.
    """

    expression: ColumnElement[Any]
    descending: bool = False
    nullable: bool = False


@dataclass(slots=True)
class Tally:
    """Where a listing that is asked to count writes how many rows fit, whatever page is read of them.

    The one thing of a page that changes: it spares every listing a second function that counts.
    """

    total: int | None = None
