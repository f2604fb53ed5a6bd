"""Light or dark: as the system of whoever looks has it, or as they chose, which a cookie of their browser keeps."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request
from litestar.datastructures import Cookie

from shieldwall.server.portal.language import marked

SYSTEM: Final = ""
THEMES: Final = (
    (SYSTEM, marked("System")),
    ("light", marked("Light")),
    ("dark", marked("Dark")),
)
"""What may be chosen: the word of the cookie, and what people read."""
_COOKIE: Final = "__Host-shieldwall-theme"
_CHOSEN: Final = frozenset(value for value, _ in THEMES if value)
_A_YEAR: Final = 365 * 24 * 3600


def theme_of(request: Request[Any, Any, Any]) -> str:
    """Return what was chosen on this browser; nothing where its system decides."""
    chosen = request.cookies.get(_COOKIE, SYSTEM)
    return chosen if chosen in _CHOSEN else SYSTEM


def theme_cookie(theme: str) -> Cookie:
    """Make the cookie that keeps a choice; one that is not known is forgotten, so that the system decides."""
    known = theme in _CHOSEN
    return Cookie(
        key=_COOKIE,
        value=theme if known else "",
        path="/",
        secure=True,
        httponly=True,
        samesite="lax",
        max_age=_A_YEAR if known else 0,
    )
