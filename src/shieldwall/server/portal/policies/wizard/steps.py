"""The steps of the wizard, what a form of it asks to do next, and the page around each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlencode

from litestar import Response
from litestar.response import Redirect
from sqlalchemy import Connection

from shieldwall.catalog.model import PolicyTemplate
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import ForbiddenError, Reach, needs
from shieldwall.server.admin.gates import require_named
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.manager import unfinished as keeping
from shieldwall.server.manager.unfinished import Content, Unfinished
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage.policies import policies

ONE: Final = "/policies/unfinished/{unfinished_id:str}"
OWN: Final = SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.OBJECT)
"""Its person's own; what may be done to policies is asked when it is saved, and before a step is shown."""
STAY: Final = "stay"
LEAVE: Final = "leave"
_GO: Final = "go:"


class Step(StrEnum):
    """One page of the wizard, by the end of its path."""

    BASICS = "basics"
    SETTINGS = "settings"
    SCOPE_TAGS = "scope-tags"
    ASSIGNMENTS = "assignments"
    REVIEW = "review"

    @property
    def label(self) -> str:
        """What it is called, to be translated."""
        return _LABELS[self]

    @property
    def former(self) -> Step | None:
        """The step before it."""
        place = _ORDER.index(self)
        return _ORDER[place - 1] if place else None

    @property
    def following(self) -> Step | None:
        """The step after it."""
        place = _ORDER.index(self) + 1
        return _ORDER[place] if place < len(_ORDER) else None


_ORDER: Final = tuple(Step)
_LABELS: Final[Mapping[Step, str]] = {
    Step.BASICS: marked("Basics"),
    Step.SETTINGS: marked("Configuration settings"),
    Step.SCOPE_TAGS: marked("Scope tags"),
    Step.ASSIGNMENTS: marked("Assignments"),
    Step.REVIEW: marked("Review"),
}


def path_to(unfinished: Unfinished, step: Step, **asked: str) -> str:
    """Return the path of a step."""
    query = urlencode({name: value for name, value in asked.items() if value})
    return f"/policies/unfinished/{unfinished.id}/{step}" + (f"?{query}" if query else "")


def taken(services: Services, request: PageRequest, connection: Connection, unfinished_id: str) -> Unfinished:
    """Return what somebody is at.

    Raises:
        NotFoundError: It was saved or discarded, is somebody else's, or changes a policy that is out of their sight.
        ForbiddenError: They may not make or change policies any more.
    """
    caller = caller_of(request)
    found = keeping.get(connection, services.tenant.id, caller.id, unfinished_id.lower())
    action = action_on(found)
    if not caller.access.may(action):
        raise ForbiddenError(f"No role of {caller.display_name} grants this: {action.value}.")
    if found.policy_id is not None and policies.find(connection, found.policy_id) is not None:
        # The steps show what the policy says now, beside what was entered.
        require_named(connection, request, "policy_id", [found.policy_id])
    return found


def action_on(unfinished: Unfinished) -> ResourceAction:
    """Say what saving it does to policies."""
    return ResourceAction.CREATE_POLICIES if unfinished.policy_id is None else ResourceAction.UPDATE_POLICIES


def kept(
    services: Services, request: PageRequest, connection: Connection, unfinished: Unfinished, content: Content
) -> Unfinished:
    """Keep what was entered. Raises: as ``manager.unfinished.keep``."""
    return keeping.keep(connection, acting_at(services, request), unfinished, content)


def may_assign(request: PageRequest) -> bool:
    """Whether somebody may say whom policies reach."""
    return caller_of(request).access.may(ResourceAction.ASSIGN_POLICIES)


def asked_step(form: Mapping[str, str]) -> Step | None:
    """Return the step that a form wants to go to."""
    wanted = form.get("do", "")
    return next((step for step in Step if wanted == f"{_GO}{step}"), None)


def onward(unfinished: Unfinished, form: Mapping[str, str], here: Step, **asked: str) -> Redirect:
    """Go where a form asks to go, or stay and look again."""
    if form.get("do") == LEAVE:
        return redirect("/policies")
    return redirect(path_to(unfinished, asked_step(form) or here, **asked))


def is_forward(form: Mapping[str, str], here: Step) -> bool:
    """Whether a form wants to go on, for which what is entered has to be right."""
    wanted = asked_step(form)
    return wanted is not None and _ORDER.index(wanted) > _ORDER.index(here)


def template_of(services: Services, unfinished: Unfinished) -> PolicyTemplate:
    """Return the kind of policy it is to be. Raises: UnknownTemplateError."""
    return services.catalog.template(unfinished.draft.template_id)


def show(
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    unfinished: Unfinished,
    step: Step,
    **shown: Any,
) -> Response[str]:
    """Show a step, with the others around it."""
    present = None
    if unfinished.policy_id is not None:
        with services.database.read() as connection:
            present = policies.find(connection, unfinished.policy_id)
    return rendering.page(
        request,
        f"policies/wizard/{step.name.lower()}.html",
        section="/policies",
        unfinished=unfinished,
        draft=unfinished.draft,
        profile=template_of(services, unfinished),
        step=step,
        all_steps=tuple(Step),
        go=_GO,
        present=present,
        is_change=unfinished.policy_id is not None,
        **shown,
    )


def is_partial(request: PageRequest) -> bool:
    """Whether a part of a page is asked for, to be brought into the one that is shown."""
    return request.headers.get("hx-request") == "true"
