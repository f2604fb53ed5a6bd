"""Reports as the server answers them: asked part by part, and as rows with names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from shieldwall.cli.graph_session import GraphSession
from shieldwall.contract.errors import InvalidJsonError

REPORTS: Final = "/beta/deviceManagement/reports"
_AT_ONCE: Final = 1_000
_WORD: Final = "_loc"
"""What the name of a column ends with that has the word for the number beside it."""


class Table:
    """A report. ``total`` is how many rows fit, of which ``rows`` are some; ``moments`` are the columns with times."""

    def __init__(self) -> None:
        self.columns: tuple[str, ...] = ()
        self.moments: frozenset[str] = frozenset()
        self.total = 0
        self.rows: list[dict[str, Any]] = []


def read_report(session: GraphSession, action: str, asked: dict[str, Any], most: int | None) -> Table:
    """Ask for a report, at most so many rows or all. Raises: RefusedError, ServerUnreachableError."""
    found = Table()
    for part in _parts(session, action, asked, most):
        found.columns = tuple(each["Column"] for each in part["Schema"])
        found.moments = frozenset(each["Column"] for each in part["Schema"] if each["PropertyType"] == "DateTime")
        found.total = part["TotalRowCount"]
        found.rows += (dict(zip(found.columns, values, strict=True)) for values in part["Values"])
    return found


def for_people(found: Table, wanted: Sequence[str]) -> tuple[str, ...]:
    """Choose the columns worth a person's eyes, in the order wanted: words, not numbers, and none that is empty."""
    known = {heading(name).lower(): name for name in found.columns}  # the word comes after its number
    chosen = (known.get(heading(name).lower()) for name in wanted)
    return tuple(name for name in chosen if name and any(row[name] not in {None, ""} for row in found.rows))


def heading(column: str) -> str:
    """Write the name of a column as a heading."""
    return column.removesuffix(_WORD)


def _parts(session: GraphSession, action: str, asked: dict[str, Any], most: int | None) -> Iterator[dict[str, Any]]:
    skipped, total = 0, 1
    while skipped < (total if most is None else min(total, most)):
        size = _AT_ONCE if most is None else min(_AT_ONCE, most - skipped)
        answer = session.call("POST", f"{REPORTS}/{action}", {**asked, "skip": skipped, "top": size})
        part = _object(answer)
        yield part
        if not part["Values"]:
            return
        skipped, total = skipped + len(part["Values"]), part["TotalRowCount"]


def _object(answer: Any) -> dict[str, Any]:
    if isinstance(answer, dict):
        return answer
    raise InvalidJsonError("The report is no JSON object.")
