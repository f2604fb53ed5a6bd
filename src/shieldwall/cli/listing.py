"""What lists can be asked: a filter, a search and an order in OData, and how many.

What is asked goes to the server as it stands; what it cannot follow it answers with the position.
"""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any, Final

import typer

from shieldwall.cli.graph_session import GraphSession

MOST_ON_A_PAGE: Final = 1_000

ODataOption = Annotated[
    str | None, typer.Option("--filter", help="An OData filter, such as startswith(displayName,'web').")
]
OrderOption = Annotated[str | None, typer.Option("--order", help="Properties, each asc or desc: 'displayName desc'.")]
WordsOption = Annotated[str | None, typer.Option("--search", help="What the name contains.")]
TopOption = Annotated[int, typer.Option("--top", min=1, help="Show at most so many.")]
EveryOption = Annotated[bool, typer.Option("--all", help="Show all of them, however many there are.")]


def text_of(value: str) -> str:
    """Write a text as OData does: in quotes, and a quote within it twice."""
    doubled = value.replace("'", "''")
    return f"'{doubled}'"


def asked_of(
    *,
    odata: str | None = None,
    order: str | None = None,
    words: str | None = None,
    member: str = "displayName",
) -> dict[str, str]:
    """Write the query of a list; what is not asked does not stand there. ``words`` are looked for in ``member``."""
    asked = {"$filter": odata, "$orderby": order}
    if words is not None:
        plain = words.replace("\\", "\\\\").replace('"', '\\"')
        asked["$search"] = f'"{member}:{plain}"'
    return {name: value for name, value in asked.items() if value is not None}


def first_of(session: GraphSession, path: str, query: dict[str, str], most: int | None) -> list[dict[str, Any]]:
    """Return the first items of a listing, or all where ``most`` is none; no larger page is asked for than is shown."""
    size = MOST_ON_A_PAGE if most is None else min(most, MOST_ON_A_PAGE)
    return list(islice(session.pages(path, query={**query, "$top": str(size)}), most))
