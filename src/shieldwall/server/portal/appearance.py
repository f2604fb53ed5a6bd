"""Where somebody chooses between light and dark."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from litestar import post
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.authorization import everybody
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Services
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.themes import theme_cookie


@post("/theme", opt=SIGNED_IN | everybody(), sync_to_thread=False)
def choose_theme(services: Services, form: Form, request: PageRequest) -> Redirect:
    """Keep what was chosen, and go back to the page it was chosen on."""
    check_form(services, request, form)
    return redirect(_page_before(request, services.settings.public_url), cookies=[theme_cookie(form.get("theme", ""))])


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (choose_theme,)


def _page_before(request: PageRequest, public_url: str) -> str:
    """Return the path of the page that sent a form, with its query; the first page where it was not one of ours."""
    came_from = urlsplit(request.headers.get("referer", ""))
    if f"{came_from.scheme}://{came_from.netloc}" != public_url or came_from.path.startswith("//"):
        return "/"
    return f"{came_from.path or '/'}{'?' if came_from.query else ''}{came_from.query}"
