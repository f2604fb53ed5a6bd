"""Previews of large fleets: worked out while people do something else, and kept for a while for who asked.

They are kept in memory, beside the application: a server that starts anew has forgotten them, and works them out again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Principal, Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of, sight_of
from shieldwall.server.manager.change_plans import Change
from shieldwall.server.manager.unfinished import PREVIEW_HOLDS
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services, Working
from shieldwall.server.portal.policies.acting import Act, act_page, proposal_of
from shieldwall.server.portal.policies.preview_views import ShownEffect, effect_for
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.work.progress import Page, Progress
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.fleets import fleets

MOST_AT_ONCE: Final = 20_000
"""Devices whose preview is made while somebody waits for the page."""
_MOST_KEPT: Final = 50
_KEPT: Final = "shieldwall.portal.previews"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Preview:
    person: Principal
    at: datetime
    act: Act
    effect: ShownEffect


@dataclass(slots=True)
class _Previews:
    found: OrderedDict[str, _Preview] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)

    def keep(self, token: str, preview: _Preview) -> None:
        with self.lock:
            self.found[token] = preview
            while len(self.found) > _MOST_KEPT:
                self.found.popitem(last=False)


def takes_long(services: AdminServices) -> bool:
    """Tell whether a preview is work of its own."""
    with services.database.read() as connection:
        return fleets.is_larger(connection, services.tenant.id, MOST_AT_ONCE)


def begin(services: AdminServices, request: PageRequest, works: Working, act: Act, change: Change) -> Redirect:
    """Begin to work out what a change would do; the page of the work leads to the page of the act."""
    acting, sight, person = acting_for(services, request), sight_of(request), caller_of(request)
    previews, token = _previews(request), services.new_id()

    def run(_: Progress) -> Page:
        with services.database.read() as connection:
            effect = effect_for(services, connection, acting, sight, proposal_of(change))
        previews.keep(token, _Preview(person=person, at=services.clock.now(), act=act, effect=effect))
        return Page(f"/policies/previews/{token}")

    work = works.start(person, act.title, run, origin=act.back, values=dict(act.values))
    return redirect(f"/work/{work.id}")


@get(
    "/policies/previews/{work_id:str}",
    opt=SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.OPEN),
    sync_to_thread=True,
)
def show_preview(
    services: Services, rendering: Renderer, request: PageRequest, work_id: FromPath[str]
) -> Response[str]:
    """Show a preview that was worked out for whoever asks, and the form that does what was previewed."""
    found, person = _previews(request).found.get(work_id), caller_of(request)
    is_theirs = found is not None and (found.person.id, found.person.tenant_id) == (person.id, person.tenant_id)
    if found is None or not is_theirs or found.person.access != person.access or _is_old(services, found):
        raise NotFoundError("There is no such preview any more.", remedy="Go back, and ask for it again.")
    return act_page(rendering, request, found.act, effect=found.effect)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (show_preview,)


def _is_old(services: AdminServices, preview: _Preview) -> bool:
    return services.clock.now() - preview.at > PREVIEW_HOLDS


def _previews(request: PageRequest) -> _Previews:
    kept: _Previews = request.app.state.setdefault(_KEPT, _Previews())
    return kept
