"""The several ways in which clients write one path, brought to one by a pure function and its middleware.

OData 4.01 lets a key stand in parentheses (part 2, section 4.3.1) or as a segment of its own (4.3.6), qualifies
actions, functions and types by their namespace, and calls a function with parentheses. Graph heeds no case in names,
and its namespace has the alias ``graph``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

_VERSIONS: Final = ("/v1.0/", "/beta/", "/api/")
_NAMESPACE: Final = re.compile(r"^(?:(?:microsoft\.)?graph\.)+(?=.)", re.IGNORECASE)
_UUID: Final = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_KEY: Final = re.compile(
    r"^(?P<name>[A-Za-z.]+)\((?P<property>[A-Za-z]+=)?"
    rf"(?:'(?P<quoted>(?:[^'/]|''){{1,512}})'|(?P<bare>{_UUID}|[0-9]{{1,18}}))\)$"
)
_CALL: Final = re.compile(r"^([A-Za-z.]+)\(\)$")
_ODD: Final = re.compile(r"//|[\x00-\x1f\x7f\\;]|/\.{1,2}(?:/|$)")
"""What no path of ours holds, and what programs before us may read otherwise: none of it is cleaned, all is unknown."""
_NOWHERE: Final = "/-"
"""A path that nothing has."""


def normal_path(path: str, names: Mapping[str, str] | None = None) -> str:
    """Write a path of an API in one way: ``x('id')`` and ``x(id)`` as ``x/id``, ``x(key='id')`` as ``x/key=id``.

    There is no slash at the end, no ``microsoft.graph.`` prefix and no ``()`` behind a function. A name that stands in
    ``names`` by its small letters is written as it is there. A path that could be read in two ways leads nowhere.
    """
    is_of_api = path.startswith(_VERSIONS)
    if _ODD.search(path):
        return path[: path.index("/", 1)] + _NOWHERE if is_of_api else _NOWHERE
    if not is_of_api:
        return path
    segments: list[str] = []
    for segment in path.removesuffix("/").split("/")[1:]:
        segments += _written(segment, names or {})
    return "/" + "/".join(segments)


def names_in(templates: Iterable[str]) -> Mapping[str, str]:
    """Return the names that stand in the templates of routes, by their small letters."""
    segments = {segment for template in templates for segment in template.split("/") if segment}
    return {segment.lower(): segment for segment in segments if not segment.startswith("{")}


@dataclass(frozen=True, slots=True)
class NormalPaths:
    """Hands on every request with its path in one form."""

    app: ASGIApp
    names: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == ScopeType.HTTP:
            path = normal_path(scope["path"], self.names)
            if path != scope["path"]:
                scope["path"], scope["raw_path"] = path, quote(path).encode()
        await self.app(scope, receive, send)


def _written(segment: str, names: Mapping[str, str]) -> tuple[str, ...]:
    """Write one segment, or two where it holds a key."""
    key = _KEY.match(segment)
    if key is None:
        call = _CALL.match(segment)
        return (_named(call[1] if call else segment, names),)
    value = key["bare"] or key["quoted"].replace("''", "'")
    return _named(key["name"], names), f"{key['property'] or ''}{value}"


def _named(name: str, names: Mapping[str, str]) -> str:
    plain = _NAMESPACE.sub("", name)
    return names.get(plain.lower(), plain)
