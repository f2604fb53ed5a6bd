"""Turning a template and what it shows into a page: escaped always, sent with headers that trust nobody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.response import Redirect
from markupsafe import Markup

from shieldwall.server.authorization import Principal
from shieldwall.server.directory.names import visible
from shieldwall.server.portal.openings import openings
from shieldwall.server.portal.sessions import TENANTS, form_token
from shieldwall.server.portal.words import HEALTH, STATES, ago, plain, product_state
from shieldwall.server.services import AdminServices
from shieldwall.server.tenant_services import services_of_caller

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types shieldwall",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), usb=()",
    "Referrer-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Rendering:
    """The templates, and what every page needs beside its own."""

    services: AdminServices
    environment: Environment

    def page(self, request: Request[Any, Any, Any], template: str, *, status: int = 200, **shown: Any) -> Response[str]:
        """Render a page for whoever asks."""
        principal = request.scope.get("user")
        person = principal if isinstance(principal, Principal) else None
        content = self.environment.get_template(template).render(
            tenant=services_of_caller(self.services, principal).tenant,
            principal=person,
            sees_tenants=person is not None and TENANTS in person.permissions,
            may=openings(request, person),
            shown_at=self.services.clock.now(),
            **{"section": "", "csrf": form_token(request), **shown},
        )
        return Response(content, status_code=status, media_type="text/html", headers=dict(HEADERS))


def redirect(path: str, cookies: Sequence[Cookie] = ()) -> Redirect:
    """Send a browser on, with the headers of every other answer."""
    return Redirect(path, status_code=303, headers=dict(HEADERS), cookies=list(cookies))


def load_templates() -> Environment:
    """Load the templates, which know nothing of a server.

    A name that a template misspells is an error, not an empty place.
    """
    environment = Environment(
        loader=PackageLoader("shieldwall.server.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_inert,
    )
    environment.filters["ago"] = _ago
    environment.filters["list_pair"] = lambda value: (value, value)
    environment.filters["plain"] = plain
    environment.filters["product_state"] = product_state
    environment.globals["states"] = STATES
    environment.globals["health_words"] = HEALTH
    return environment


@pass_context
def _ago(context: Context, at: datetime) -> str:
    return ago(at, context["shown_at"])


def _inert(value: Any) -> Any:
    # Whatever a template prints passes here, so no template can forget it. Markup is what a macro has printed already.
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
