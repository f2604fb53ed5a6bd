"""What a server is made of, as its routes find it: each part by its class, brought along by every request.

The routes themselves hold nothing of a server. They are put together from what the code says alone, which takes far
longer than everything else that composes a server, and serve whatever parts come with a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from litestar import Request
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

T = TypeVar("T")

Parts: TypeAlias = Mapping[type[Any], Any]
"""The parts of one server, each under its own class."""

_KEY: Final = "shieldwall.parts"


@dataclass(frozen=True, slots=True)
class WithParts:
    """Hands on every request together with the parts of this server."""

    application: ASGIApp
    parts: Parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one lifespan."""
        if scope["type"] == ScopeType.HTTP:
            scope[_KEY] = self.parts  # type: ignore[typeddict-unknown-key]  # ASGI lets applications add keys of their own
        await self.application(scope, receive, send)


def part_of(scope: Any, kind: type[T]) -> T:
    """Return a part of the server that a request with this scope came to."""
    part = scope[_KEY][kind]
    assert isinstance(part, kind), "every part stands under its own class"
    return part


def providing(kind: type[Any]) -> Provide:
    """Make the dependency of handlers that take this part as a parameter."""

    def provide(request: Request[Any, Any, State]) -> Any:
        return part_of(request.scope, kind)

    return Provide(provide, sync_to_thread=False)
