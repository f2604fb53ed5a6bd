"""The history of a policy: its revisions, what lies between any two of them, and the way back to an earlier one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import SettingId, parse_policy_id
from shieldwall.policy.classify import ChangeClass
from shieldwall.policy.values import SettingValue
from shieldwall.policy.words import category_of, lines_of, name_of
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.authoring import authoring
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.manager import policies, revisions
from shieldwall.server.manager.change_plans import Update
from shieldwall.server.manager.revision_changes import changes_between, class_between
from shieldwall.server.manager.revisions import RevisionContent
from shieldwall.server.manager.seen_states import seen_state
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services, Working
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.policies.acting import Act, act_page, crumbs_of, do, previewed
from shieldwall.server.portal.policies.links import asked_by
from shieldwall.server.portal.policies.long_previews import begin, takes_long
from shieldwall.server.portal.policies.preview_views import CLASSES
from shieldwall.server.portal.policies.shown import path_of, read_policy, shown_policy
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.records import Page, Policy

_READS: Final = SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.OBJECT)
_WRITES: Final = SIGNED_IN | needs(ResourceAction.UPDATE_POLICIES, Reach.OBJECT)
_SIZE: Final = 50
_MOST_COMPARED: Final = 200
"""Revisions that may be chosen from; older ones by their address."""
_MOST_DIGITS: Final = 9
_FRAME: Final[Mapping[str, str]] = {
    "name": marked("Name"),
    "description": marked("Description"),
    "priority": marked("Priority"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionRow:
    """One revision. ``change_class`` is absent for the first."""

    content: RevisionContent
    change_class: ChangeClass | None
    changes: int

    @property
    def protection(self) -> tuple[str, str] | None:
        """What it did to protection: a marked text, and the class of style for it."""
        return None if self.change_class is None else CLASSES[self.change_class]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffRow:
    """One setting that differs between two revisions; a side is absent where the revision does not set it."""

    setting: SettingId
    name: str
    category: str
    before: tuple[str, ...] | None
    after: tuple[str, ...] | None
    protection: tuple[str, str]


@get("/policies/{policy_id:str}/history", opt=_READS, sync_to_thread=True)
def show_history(
    services: Services, rendering: Renderer, request: PageRequest, policy_id: FromPath[str]
) -> Response[str]:
    """List the revisions of a policy, newest first: who made them, when, why, and what they did to protection."""
    policy, asked = read_policy(services, policy_id), asked_by(request)
    after = asked["after"] if _is_number(asked["after"]) else None
    with services.database.read() as connection:
        found = revisions.history(connection, services.tenant.id, policy.id, Page(size=_SIZE + 1, after=after))
    contents = [revisions.content_of(each) for each in found]
    rows = [
        _row(services.catalog, contents[place], contents[place + 1] if place + 1 < len(contents) else None)
        for place in range(min(_SIZE, len(contents)))
    ]
    more = asked.link(after=str(contents[_SIZE - 1].revision.revision)) if len(contents) > _SIZE else ""
    return rendering.page(
        request,
        "policies/history.html",
        here="history",
        rows=rows,
        next_page=more,
        first_page="?" if after else "",
        **shown_policy(services, request, policy),
    )


@get("/policies/{policy_id:str}/history/compare", opt=_READS, sync_to_thread=True)
def compare(services: Services, rendering: Renderer, request: PageRequest, policy_id: FromPath[str]) -> Response[str]:
    """Show what differs between two revisions of a policy; by default what the newer one changed."""
    policy, asked = read_policy(services, policy_id), asked_by(request, "from", "to")
    with services.database.read() as connection:
        to = _number(asked["to"]) if asked["to"] else policy.revision
        after = revisions.get_revision(connection, services.tenant.id, policy.id, to)
        before = _before(services, connection, policy, to, asked["from"])
        numbers = [
            each.revision for each in revisions.history(connection, services.tenant.id, policy.id, Page(size=200))
        ]
    return rendering.page(
        request,
        "policies/compare.html",
        here="history",
        before=before,
        after=after,
        rows=diff_of(services.catalog, before, after),
        frame=_frame(before, after),
        numbers=numbers,
        **shown_policy(services, request, policy),
    )


@get("/policies/{policy_id:str}/revisions/{revision:str}/rollback", opt=_WRITES, sync_to_thread=True)
def ask_rollback(
    services: Services, rendering: Renderer, request: PageRequest, policy_id: FromPath[str], revision: FromPath[str]
) -> Response[str]:
    """Show what it would do to go back to a revision."""
    return _rollback_page(services, rendering, request, policy_id, _number(revision))


@post(
    "/policies/{policy_id:str}/revisions/{revision:str}/rollback/preview",
    opt=_WRITES,
    sync_to_thread=True,
    status_code=303,
)
def work_out_rollback(  # noqa: PLR0917 - what the framework hands it, and two parts of the path
    services: Services,
    request: PageRequest,
    works: Working,
    form: Form,
    policy_id: FromPath[str],
    revision: FromPath[str],
) -> Redirect:
    """Begin to work out what it would do to go back to a revision in a large fleet."""
    check_form(services, request, form)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        change = _going_back(services, connection, policy, _number(revision))
        act = _rollback(connection, policy, _number(revision))
    return begin(services, request, works, act, change)


@post("/policies/{policy_id:str}/revisions/{revision:str}/rollback", opt=_WRITES, sync_to_thread=True, status_code=303)
def roll_back(  # noqa: PLR0917 - what the framework hands it, and two parts of the path
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    form: Form,
    policy_id: FromPath[str],
    revision: FromPath[str],
) -> Response[str] | Redirect:
    """Make what a revision said that of the next one."""
    check_form(services, request, form)
    number, reason = _number(revision), form.get("reason", "").strip()
    try:
        do(
            services,
            request,
            form,
            policy_id,
            lambda parts, connection, acting, policy: authoring(parts).rollback(
                connection, acting, policy.id, number, reason=reason
            ),
        )
    except ShieldwallError as problem:
        return _rollback_page(services, rendering, request, policy_id, number, problem=problem, reason=reason)
    return redirect(path_of(parse_policy_id(policy_id), "history"))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    show_history,
    compare,
    ask_rollback,
    work_out_rollback,
    roll_back,
)


def diff_of(catalog: Catalog, before: RevisionContent | None, after: RevisionContent) -> list[DiffRow]:
    """Say setting by setting what differs between two revisions."""
    changes = changes_between(catalog, None if before is None else before.document, after.document)
    rows = [
        DiffRow(
            setting=change.setting,
            name=name_of(catalog, change.setting),
            category=category_of(catalog, change.setting),
            before=_lines(catalog, change.setting, change.before),
            after=_lines(catalog, change.setting, change.after),
            protection=CLASSES[change.change_class],
        )
        for change in changes
    ]
    return sorted(rows, key=lambda row: (row.category, row.name))


def _lines(catalog: Catalog, setting: SettingId, value: SettingValue | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    # Of what the catalog let go, the value was not read: only whether it differs is known.
    return lines_of(catalog, setting, value) if setting in catalog.definitions else ("?",)


def _frame(before: RevisionContent | None, after: RevisionContent) -> list[tuple[str, str, str]]:
    """Say what differs beside the settings: a marked text, and both sides."""
    if before is None:
        return []
    sides = ((label, getattr(before.draft, name), getattr(after.draft, name)) for name, label in _FRAME.items())
    return [(label, str(was or ""), str(now or "")) for label, was, now in sides if was != now]


def _row(catalog: Catalog, content: RevisionContent, before: RevisionContent | None) -> RevisionRow:
    if before is None:
        return RevisionRow(content=content, change_class=None, changes=len(content.document.settings))
    return RevisionRow(
        content=content,
        change_class=class_between(catalog, before.document, content.document),
        changes=len(changes_between(catalog, before.document, content.document)),
    )


def _before(
    services: AdminServices, connection: Connection, policy: Policy, number: int, asked: str
) -> RevisionContent | None:
    """Return the revision to compare with: the one named, else the one before; nothing where there is none."""
    if asked:
        return revisions.get_revision(connection, services.tenant.id, policy.id, _number(asked))
    found = revisions.history(connection, services.tenant.id, policy.id, Page(size=1, after=str(number)))
    return revisions.content_of(found[0]) if found else None


def _rollback_page(
    services: Services,
    rendering: Renderer,
    request: PageRequest,
    policy_id: str,
    number: int,
    *,
    problem: ShieldwallError | None = None,
    reason: str = "",
) -> Response[str]:
    effect, is_long = None, takes_long(services)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        change = _going_back(services, connection, policy, number)
        try:
            effect = None if is_long else previewed(services, connection, request, change)
        except ShieldwallError as wrong:  # what the catalog let go, or a reusable setting that is gone
            problem = problem or wrong
        works_out = path_of(policy.id, f"revisions/{number}/rollback/preview") if is_long else ""
        act = _rollback(connection, policy, number, works_out=works_out)
    return act_page(rendering, request, act, effect=effect, problem=problem, reason=reason)


def _going_back(services: AdminServices, connection: Connection, policy: Policy, number: int) -> Update:
    earlier = revisions.get_revision(connection, services.tenant.id, policy.id, number)
    return Update(policy=policy.id, draft=replace(earlier.draft, role_scope_tag_ids=policy.role_scope_tag_ids))


def _rollback(connection: Connection, policy: Policy, number: int, *, works_out: str = "") -> Act:
    return Act(
        title=marked("Roll %(name)s back to revision %(number)s"),
        lead=marked("What revision %(number)s said becomes the next one. Assignments and scope tags stay as they are."),
        button=marked("Roll back to revision %(number)s"),
        action=path_of(policy.id, f"revisions/{number}/rollback"),
        back=path_of(policy.id, "history"),
        crumbs=crumbs_of(policy),
        values={"name": policy.name, "number": number},
        fields={"seen": seen_state(connection, policy)},
        works_out=works_out,
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def _number(text: str) -> int:
    """Read the number of a revision. Raises: NotFoundError."""
    if not _is_number(text):
        raise NotFoundError(f"There is no revision {text[:64]!r}.")
    return int(text)
