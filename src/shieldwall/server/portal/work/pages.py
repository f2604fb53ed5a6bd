"""The pages of work: a list of one's own, how far a piece is, what came of it."""

from __future__ import annotations

from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import File as FileAnswer
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.authorization import everybody
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.portal.answer_headers import HEADERS
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services, Working
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form


@get("/work", opt=SIGNED_IN | everybody(), sync_to_thread=True)
def list_work(rendering: Renderer, request: PageRequest, works: Working) -> Response[str]:
    """List the work of whoever asks."""
    mine = works.of(caller_of(request))
    return rendering.page(
        request, "work/works.html", section="/work", works=mine, live=[f"work:{each.id}" for each in mine[:8]]
    )


@get("/work/{work_id:str}", opt=SIGNED_IN | everybody(), sync_to_thread=True)
def show_work(rendering: Renderer, request: PageRequest, works: Working, work_id: FromPath[str]) -> Response[str]:
    """Show how far a piece of work is, and what came of it."""
    work = works.find(caller_of(request), work_id)
    return rendering.page(
        request, "work/work.html", section="/work", work=work, result=work.result, live=(f"work:{work.id}",)
    )


@get("/work/{work_id:str}/file", opt=SIGNED_IN | everybody(), sync_to_thread=True)
def get_file(request: PageRequest, works: Working, work_id: FromPath[str]) -> FileAnswer:
    """Send the file that came of work, to be saved."""
    file = works.result(caller_of(request), work_id)
    return FileAnswer(
        file.path,
        filename=file.name,
        media_type=file.media_type,
        content_disposition_type="attachment",
        headers=dict(HEADERS),
    )


@post("/work/{work_id:str}/cancel", opt=SIGNED_IN | everybody(), sync_to_thread=True)
def cancel_work(
    services: Services, form: Form, request: PageRequest, works: Working, work_id: FromPath[str]
) -> Redirect:
    """Call off a piece of work, or forget one that is over."""
    check_form(services, request, form)
    works.cancel(caller_of(request), work_id)
    return redirect("/work")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (list_work, show_work, get_file, cancel_work)
