"""Turning a template and what it shows into a page: escaped always, sent with headers that trust nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response

from shieldwall.server.authorization import Principal
from shieldwall.server.portal.sessions import form_token
from shieldwall.server.portal.words import ago
from shieldwall.server.services import AdminServices

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
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
        content = self.environment.get_template(template).render(
            tenant=self.services.tenant,
            principal=principal if isinstance(principal, Principal) else None,
            csrf=form_token(request),
            **{"section": "", **shown},
        )
        return Response(content, status_code=status, media_type="text/html; charset=utf-8", headers=dict(HEADERS))


def create_rendering(services: AdminServices) -> Rendering:
    """Load the templates. A name that a template misspells is an error, not an empty place."""
    environment = Environment(
        loader=PackageLoader("shieldwall.server.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def since(at: datetime) -> str:
        return ago(at, services.clock.now())

    environment.filters["ago"] = since
    return Rendering(services, environment)
