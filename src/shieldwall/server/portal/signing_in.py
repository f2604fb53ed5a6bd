"""Signing in with a one-time link, and out again."""

from __future__ import annotations

from collections.abc import Mapping

from litestar import Response, get, post
from litestar.response import Redirect

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.authorization import PUBLIC
from shieldwall.server.directory import administrators
from shieldwall.server.portal.pages import SIGNED_IN, PageRequest
from shieldwall.server.portal.rendering import Rendering
from shieldwall.server.portal.sessions import COOKIE, check_form, check_origin, find_session, session_cookie
from shieldwall.server.services import AdminServices


@get("/sign-in", opt=PUBLIC, sync_to_thread=False)
def sign_in_page(rendering: Rendering, request: PageRequest, code: str = "") -> Response[str]:
    """Offer to sign in. Looking at the link does not use it up: programs that preview links only look."""
    return rendering.page(request, "sign_in.html", code=code[:128], problem=None)


@post("/sign-in", opt=PUBLIC, sync_to_thread=True)
def sign_in(
    services: AdminServices, rendering: Rendering, request: PageRequest, form: Mapping[str, str]
) -> Response[str] | Redirect:
    """Redeem the code and begin a session."""
    check_origin(services, request)
    try:
        with services.database.write() as connection:
            acting = services.acting("portal")
            _, token = administrators.redeem(connection, acting, form.get("code", ""))
    except ShieldwallError as problem:
        return rendering.page(request, "sign_in.html", status=403, code="", problem=problem)
    return Redirect("/", status_code=303, cookies=[session_cookie(token)])


@post("/sign-out", opt=SIGNED_IN, sync_to_thread=True)
def sign_out(services: AdminServices, request: PageRequest, form: Mapping[str, str]) -> Redirect:
    """End the session."""
    check_form(services, request, form)
    session = find_session(services, request)
    if session is not None:
        with services.database.write() as connection:
            administrators.sign_out(connection, services.acting(f"person:{session.display_name}"), session)
    gone = Redirect("/sign-in", status_code=303)
    gone.delete_cookie(COOKIE, path="/")
    return gone
