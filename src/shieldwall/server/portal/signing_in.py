"""Signing in with a one-time link, and out again."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.params import FromQuery
from litestar.response import Redirect

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.authorization import PUBLIC, everybody
from shieldwall.server.directory import administrators
from shieldwall.server.portal.pages import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form, check_origin, find_session, session_cookie


@get("/sign-in", opt=PUBLIC, sync_to_thread=False)
def sign_in_page(rendering: Renderer, request: PageRequest, code: FromQuery[str] = "") -> Response[str]:
    """Offer to sign in. Looking at the link does not use it up: programs that preview links only look."""
    return rendering.page(request, "sign_in.html", code=code[:128], problem=None)


@post("/sign-in", opt=PUBLIC, sync_to_thread=True)
def sign_in(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str] | Redirect:
    """Redeem the code and begin a session, always a new one; whoever was signed in here before no longer is."""
    check_origin(services, request)
    before = find_session(services, request)
    try:
        with services.database.write() as connection:
            acting = services.acting("portal")
            _, token = administrators.redeem(connection, acting, form.get("code", ""))
            if before is not None:
                administrators.sign_out(connection, services.acting(f"person:{before.display_name}"), before)
    except ShieldwallError as problem:
        return rendering.page(request, "sign_in.html", status=403, code="", problem=problem)
    return redirect("/", [session_cookie(token)])


@post("/sign-out", opt=SIGNED_IN | everybody(), sync_to_thread=True)
def sign_out(services: Services, request: PageRequest, form: Form) -> Redirect:
    """End the session."""
    check_form(services, request, form)
    session = find_session(services, request)
    if session is not None:
        with services.database.write() as connection:
            administrators.sign_out(connection, services.acting(f"person:{session.display_name}"), session)
    return redirect("/sign-in", [session_cookie("", max_age=0)])
