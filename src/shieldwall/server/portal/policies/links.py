"""What the address of a listing asks for, and the links that ask for a little else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Request

from shieldwall.contract.errors import InvalidIdError
from shieldwall.contract.ids import UUID_PATTERN
from shieldwall.server.portal.paging import PAGE_SIZE
from shieldwall.server.storage.records import Page

_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for, name by name; what it does not say is empty."""

    values: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        """Return what is asked for under a name."""
        return self.values.get(name, "")

    def link(self, **changes: str) -> str:
        """Return the address that asks for the same but for these; it begins anew at the first page."""
        wanted = {**self.values, "after": "", **changes}
        return "?" + urlencode({name: value for name, value in wanted.items() if value})

    def one_of(self, name: str, known: Sequence[str] | Mapping[Any, Any]) -> str:
        """Return what is asked for where it is one of what is known, else nothing."""
        return self[name] if self[name] in known else ""

    @property
    def is_narrowed(self) -> bool:
        """Whether anything is asked for beside the order and the page."""
        return any(value for name, value in self.values.items() if name not in {"after", "sort"})


def asked_by(request: Request[Any, Any, Any], *names: str) -> Asked:
    """Read what the address of a listing asks for under these names; ``after`` among them always.

    Raises:
        InvalidIdError: The place in the list is empty, or nothing that a page ever linked to.
    """
    after = request.query_params.get("after")
    if after is not None and not (after and after.isascii() and after.isprintable()):
        raise _broken()
    read = {name: request.query_params.get(name, "").strip()[:_LONGEST] for name in (*names, "after")}
    return Asked({name: "".join(filter(str.isprintable, value)) for name, value in read.items()})


def page_after(asked: Asked, size: int = PAGE_SIZE) -> Page:
    """Return the part of a listing that is asked for. Raises: InvalidIdError."""
    after = asked["after"]
    if after and not re.match(UUID_PATTERN, after):
        raise _broken()
    return Page(size=size, after=after or None)


def _broken() -> InvalidIdError:
    return InvalidIdError("The link to this page of the list is broken.", remedy="Begin with its first page.")


def following(asked: Asked, ids: Sequence[str], size: int = PAGE_SIZE) -> dict[str, Any]:
    """Say where the next page of a listing begins, and the first where this is another one."""
    return {
        "next_page": asked.link(after=ids[-1]) if len(ids) >= size else "",
        "first_page": asked.link() if asked["after"] else "",
    }
