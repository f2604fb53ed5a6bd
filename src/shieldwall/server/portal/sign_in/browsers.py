"""What is known of a browser: where it sits, what it calls itself, and a secret that it holds while it signs in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from shieldwall.server.access.authorization import Principal
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.acting import Acting, Origin
from shieldwall.server.directory.challenges import CHALLENGE_LIFETIME
from shieldwall.server.directory.sessions import new_token
from shieldwall.server.listening.admin_requests import record_of

ATTEMPT_COOKIE: Final = "__Host-shieldwall-attempt"
_SECRET: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_LONGEST_ADDRESS: Final = 45
"""An IPv6 address with an IPv4 address inside it."""
_BROWSERS: Final[Mapping[str, str]] = {
    "Edg/": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
"""By what stands in ``User-Agent``, in the order in which they claim to be each other."""
_SYSTEMS: Final[Mapping[str, str]] = {
    "Android": "Android",
    "iPhone": "iOS",
    "iPad": "iOS",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}

Connection = ASGIConnection[Any, Any, Any, Any]


def address_of_browser(connection: Connection) -> str:
    """Return the address that a browser speaks from, as this server sees it."""
    client = connection.scope.get("client")
    return str(client[0])[:_LONGEST_ADDRESS] if client else ""


def browser_in_words(user_agent: str) -> str:
    """Say which browser somebody uses, as well as it can be told."""
    browser = next((words for mark, words in _BROWSERS.items() if mark in user_agent), "A browser")
    system = next((words for mark, words in _SYSTEMS.items() if mark in user_agent), None)
    return browser if system is None else f"{browser} on {system}"


def client_of(connection: Connection) -> str:
    """Say where somebody sits, for the list of their sessions."""
    browser = browser_in_words(connection.headers.get("user-agent", ""))
    return ", ".join(filter(None, (browser, address_of_browser(connection))))


def acting_at(services: AdminServices, connection: Connection, actor: str = "portal") -> Acting:
    """Say who is at work in the admin center, and from where: whoever is signed in, else ``actor``."""
    principal = connection.scope.get("user")
    signed_in = principal if isinstance(principal, Principal) else None
    origin = Origin(
        actor_id=signed_in.id if signed_in else None,
        ip_address=address_of_browser(connection) or None,
        correlation_id=str(uuid5(NAMESPACE_OID, record_of(connection.scope).request_id)),
    )
    acting = services.acting(signed_in.actor if signed_in else actor)
    return replace(acting, origin=origin, access=signed_in.access if signed_in else acting.access)


def secret_of(connection: Connection) -> str:
    """Return the secret that a browser holds while it signs in; empty where it has none of ours."""
    held = connection.cookies.get(ATTEMPT_COOKIE, "")
    return held if _SECRET.match(held) else ""


def secret_for(connection: Connection) -> tuple[str, Cookie]:
    """Return the secret that a browser holds already, or a new one, and the cookie that keeps it there.

    Another site may lead back here (a provider that somebody signs in at), so the cookie is not a strict one: it opens
    nothing by itself.
    """
    secret = secret_of(connection) or new_token()
    return secret, Cookie(
        key=ATTEMPT_COOKIE,
        value=secret,
        path="/",
        secure=True,
        httponly=True,
        samesite="lax",
        max_age=int(CHALLENGE_LIFETIME.total_seconds()),
    )
