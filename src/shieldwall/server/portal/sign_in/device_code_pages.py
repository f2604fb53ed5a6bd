"""Where a person types the code that a program without a browser shows, and decides about it (RFC 8628 section 3.3).

A wrong code helps nobody: whoever says yes lets the program act for themselves, not for somebody else.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.authorization import UnauthenticatedError, everybody
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import device_codes
from shieldwall.server.directory.access_tokens import SignIn
from shieldwall.server.directory.apps import get_app
from shieldwall.server.directory.resource_names import OPENID
from shieldwall.server.openapi.permission_words import in_words
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import Rendering
from shieldwall.server.portal.sessions import check_form, find_session
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.identity import people

_LONGEST_CODE: Final = 32
_DECISIONS: Final = frozenset({"yes", "no"})


@get("/device", opt=SIGNED_IN | everybody(), sync_to_thread=False)
def type_code(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Ask for the code. None is taken from the address, so that no link leads a person past typing it."""
    _require_offered(services)
    return _page(rendering, request)


@post("/device", opt=SIGNED_IN | everybody(), sync_to_thread=True)
def decide_about_code(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str]:
    """Show what waits under a code, then note what the person decides about it."""
    _require_offered(services)
    check_form(services, request, form)
    session = find_session(services, request)
    if session is None:
        raise UnauthenticatedError("Nobody is signed in.")
    typed, decision = form.get("user_code", "")[:_LONGEST_CODE], form.get("decision", "")
    with services.database.write() as connection:
        acting = acting_at(services, request, f"person:{session.display_name}")
        code = device_codes.find_pending(connection, services.tenant.id, acting, typed)
        person = people.find(connection, session.person_id)
        if code is None or person is None:
            return _page(rendering, request, problem="Nothing waits under this code; it may have ended.")
        app = get_app(connection, services.tenant.id, code.client_id)
        if decision not in _DECISIONS:
            scopes = [each for each in code.scopes if each not in OPENID]
            return _page(rendering, request, app=app, code=typed, scopes=[*in_words(scopes).values()])
        signed_in = SignIn(person=person, proved_at=session.proved_at, method=session.method)
        moved = device_codes.decide(connection, acting, code, signed_in, approve=decision == "yes")
    return _page(rendering, request, done=decision if moved else "late")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (type_code, decide_about_code)


def _require_offered(services: AdminServices) -> None:
    if not services.settings.identity.device_code:
        raise NotFoundError("Signing in by a code is switched off on this server.")


def _page(rendering: Rendering, request: PageRequest, **shown: Any) -> Response[str]:
    nothing: dict[str, Any] = {"app": None, "code": "", "scopes": [], "done": "", "problem": ""}
    return rendering.page(request, "sign_in/device_code.html", **(nothing | shown))
