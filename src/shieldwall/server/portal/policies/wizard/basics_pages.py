"""The first step: what the policy is called and how it is described."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.catalog.findings import Finding
from shieldwall.contract.settings import LOWEST_PRIORITY
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory.names import is_text
from shieldwall.server.manager.drafts import MAX_NAME_LENGTH, PolicyDraft, frame_findings
from shieldwall.server.manager.unfinished import Unfinished
from shieldwall.server.portal.handling import Form, PageRequest, Renderer, Services
from shieldwall.server.portal.policies.wizard.steps import (
    ONE,
    OWN,
    Step,
    action_on,
    is_forward,
    is_partial,
    kept,
    onward,
    show,
    taken,
)
from shieldwall.server.portal.sessions import check_form

_MOST_DIGITS: Final = 4
_MOST_TEXT: Final = 4_000
"""More than a description may have, so that what is too long is shown to be shortened."""


@get(ONE + "/basics", opt=OWN, sync_to_thread=True)
def show_basics(
    services: Services, rendering: Renderer, request: PageRequest, unfinished_id: FromPath[str]
) -> Response[str]:
    """Show name, description and priority, to be entered."""
    with services.database.read() as connection:
        unfinished = taken(services, request, connection, unfinished_id)
    # Nothing is wrong yet with a policy that has just been begun.
    is_new = unfinished.created_at == unfinished.updated_at and "check" not in request.query_params
    faults = {} if is_new and not unfinished.draft.name else basics_faults(unfinished.draft)
    return _page(services, rendering, request, unfinished, faults)


@post(ONE + "/basics", opt=OWN, sync_to_thread=True)
def keep_basics(
    services: Services, rendering: Renderer, request: PageRequest, unfinished_id: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Keep what was entered, and go where it is asked."""
    check_form(services, request, form)
    with services.database.write() as connection:
        unfinished = taken(services, request, connection, unfinished_id)
        draft = _read(unfinished.draft, form)
        content = msgspec.structs.replace(unfinished.content, draft=draft)
        unfinished = kept(services, request, connection, unfinished, content)
    faults = basics_faults(draft)
    if is_partial(request):
        return _page(services, rendering, request, unfinished, faults)
    if faults and is_forward(form, Step.BASICS):
        return onward(unfinished, {}, Step.BASICS, check="1")
    return onward(unfinished, form, Step.BASICS)


def basics_faults(draft: PolicyDraft) -> Mapping[str, str]:
    """Say what is wrong with the frame of a policy, by field."""
    return _by_field((*frame_findings(draft), *_text_findings(draft)))


def _page(
    services: Services, rendering: Renderer, request: PageRequest, unfinished: Unfinished, faults: Mapping[str, str]
) -> Response[str]:
    may_order = caller_of(request).access.may_everywhere(action_on(unfinished))
    return show(
        services,
        rendering,
        request,
        unfinished,
        Step.BASICS,
        faults=faults,
        lowest=LOWEST_PRIORITY,
        may_order=may_order,
    )


def _text_findings(draft: PolicyDraft) -> Iterable[Finding]:
    if not is_text(draft.name, MAX_NAME_LENGTH):
        yield Finding("name", "invalidName", "The name is too long, or holds characters that cannot be seen.")
    if not is_text(draft.description, _MOST_TEXT):
        yield Finding("description", "invalidText", "The description holds characters that cannot be seen.")


def _by_field(findings: Iterable[Finding]) -> dict[str, str]:
    found: dict[str, str] = {}
    for finding in findings:
        found.setdefault(finding.path, f"{finding.message} {finding.allowed}".strip())
    return found


def _read(draft: PolicyDraft, form: Mapping[str, str]) -> PolicyDraft:
    priority = form.get("priority", "" if draft.priority is None else str(draft.priority)).strip()
    digits = priority if priority.isascii() and priority.isdigit() else ""
    number = int(digits[:_MOST_DIGITS]) if digits else None
    return replace(
        draft,
        name=" ".join(form.get("name", draft.name).splitlines()).strip()[:_MOST_TEXT],
        description=form.get("description", draft.description).replace("\r\n", "\n").strip()[:_MOST_TEXT],
        # What is no number cannot be kept; no number is zero, which is no priority and is said so.
        priority=0 if priority and number is None else number,
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (show_basics, keep_basics)
