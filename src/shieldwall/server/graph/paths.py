"""The several ways in which clients write one path, brought to one by a pure function and its middleware."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

_KEY: Final = re.compile(r"^([A-Za-z]+)\(([A-Za-z]+=)?'([^'/]{1,512})'\)$")
_VERSIONS: Final = ("/v1.0/", "/beta/")


def normal_path(path: str) -> str:
    """Write a Graph path in one way: ``x('id')`` as ``x/id``, ``x(key='id')`` as ``x/key=id``.

    There is no slash at the end, and no ``microsoft.graph.`` prefix.
    """
    if not path.startswith(_VERSIONS):
        return path
    segments: list[str] = []
    for segment in path.rstrip("/").split("/")[1:]:
        key = _KEY.match(segment)
        segments.extend((key[1], f"{key[2] or ''}{key[3]}") if key else (segment.removeprefix("microsoft.graph."),))
    return "/" + "/".join(segments)


@dataclass(frozen=True, slots=True)
class NormalPaths:
    """Hands on every request with its path in one form."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == ScopeType.HTTP:
            path = normal_path(scope["path"])
            if path != scope["path"]:
                scope["path"], scope["raw_path"] = path, path.encode()
        await self.app(scope, receive, send)
