"""The page of the enforcement scope: what holds, what a change would take and release, and only then saving it.

Saving is offered below the preview alone. What the preview said is checked again at that moment: if devices, or the
scope itself, changed meanwhile, the new preview is shown instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from msgspec.structs import replace

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import digest_of
from shieldwall.policy.enrollment import Coverage, EnforcementScope, Enrollment, InvalidScopeError, TagRule
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.admin.sight import caller_of, sight_of
from shieldwall.server.inventory.table_export import Table
from shieldwall.server.manager import enforcement_scope
from shieldwall.server.manager.enforcement_scope import Moved, MovedDevice, ScopeEffect
from shieldwall.server.manager.sweeping import still_to_come
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services, Working
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.portal.work.progress import File, Progress
from shieldwall.server.portal.work.tables import write_table
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.policies import aims

PLATFORMS: Final = (
    ("windows", "Windows"),
    ("windows_server", "Windows Server"),
    ("linux", "Linux"),
    ("mac_os", "macOS"),
)
COVERAGES: Final = (
    (Coverage.OFF, marked("Off")),
    (Coverage.TAGGED, marked("On tagged devices")),
    (Coverage.ALL, marked("On all devices")),
)
_COLUMNS: Final = ("id", "name", "operatingSystem", "happens", "why")


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedRow:
    """Devices that are taken or released, in words."""

    happens: str
    os_type: str
    count: int
    why: str
    samples: tuple[tuple[str, str], ...]


@get("/scope", opt=SIGNED_IN | needs(ResourceAction.READ_SCOPE), sync_to_thread=True)
def show_scope(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show which devices may be managed."""
    with services.database.read() as connection:
        scope = enforcement_scope.get_scope(connection, services.tenant.id)
        is_open = aims.is_scope_open(connection, services.tenant.id)
        to_come = still_to_come(connection, services.tenant.id) if is_open else 0
    return _page(rendering, request, scope, seen=digest_of(scope), to_come=to_come)


@post("/scope/preview", opt=SIGNED_IN | needs(ResourceAction.UPDATE_SCOPE), sync_to_thread=True, status_code=200)
def preview_scope(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str]:
    """Show what the scope in the form would take and release."""
    check_form(services, request, form)
    with services.database.read() as connection:
        present = enforcement_scope.get_scope(connection, services.tenant.id)
        try:
            scope = _scope_of(present, form)
            effect = enforcement_scope.preview_scope(connection, services.tenant.id, scope)
        except ShieldwallError as problem:
            return _page(rendering, request, present, seen=digest_of(present), form=form, problem=problem)
    return _page(rendering, request, scope, seen=digest_of(present), effect=effect, form=form)


@post("/scope", opt=SIGNED_IN | needs(ResourceAction.UPDATE_SCOPE), sync_to_thread=True)
def save_scope(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str] | Redirect:
    """Make the scope of the form hold, if it does what its preview said."""
    check_form(services, request, form)
    acting = acting_at(services, request)
    with services.database.write() as connection:
        targets.lock(connection)
        present = enforcement_scope.get_scope(connection, services.tenant.id)
        scope = _scope_of(present, form)
        effect = enforcement_scope.preview_scope(connection, services.tenant.id, scope)
        told = (form.get("seen"), form.get("taken"), form.get("released"))
        if told == (digest_of(present), str(effect.taken_count), str(effect.released_count)):
            enforcement_scope.save_scope(connection, acting, scope)
            return redirect("/scope")
    return _page(rendering, request, scope, seen=digest_of(present), effect=effect, form=form, is_stale=True)


@post("/scope/devices", opt=SIGNED_IN | needs(ResourceAction.UPDATE_SCOPE), sync_to_thread=True)
def export_moved(services: Services, request: PageRequest, works: Working, form: Form) -> Redirect:
    """Begin to write every device that the scope in the form would take or release to a file."""
    check_form(services, request, form)
    with services.database.read() as connection:
        scope = _scope_of(enforcement_scope.get_scope(connection, services.tenant.id), form)

    def write(progress: Progress) -> File:
        with services.database.read() as connection:
            moved = enforcement_scope.list_moved(connection, services.tenant.id, scope)
        progress.expect(len(moved))
        return write_table(progress, Table("scope-preview", _COLUMNS, map(_cells, moved)), "csv")

    work = works.start(caller_of(request), marked("Devices that another scope would move"), write, origin="/scope")
    return redirect(f"/work/{work.id}")


def _page(
    rendering: Rendering,
    request: PageRequest,
    scope: EnforcementScope,
    *,
    seen: str,
    effect: ScopeEffect | None = None,
    form: Mapping[str, str] | None = None,
    problem: ShieldwallError | None = None,
    is_stale: bool = False,
    to_come: int | None = 0,
) -> Response[str]:
    written = [f"{each.display_name}: {each.rule}" for each in scope.dynamic_tags]
    return rendering.page(
        request,
        "settings/scope.html",
        status=200 if problem is None else 400,
        section="/scope",
        scope=scope,
        platforms=[(name, label, getattr(scope, name)) for name, label in PLATFORMS],
        coverages=COVERAGES,
        dynamic_tags=written if form is None else form.get("dynamic_tags", "").splitlines(),
        seen=seen,
        effect=effect,
        rows=[] if effect is None else _rows(effect),
        most=1 if effect is None else max(1, *(max(before, after) for _, before, after in effect.systems), 1),
        problem=problem,
        is_stale=is_stale,
        is_catching_up=to_come != 0,
        to_come=to_come if sight_of(request).access.may_everywhere(ResourceAction.READ_DEVICES) else None,
    )


def _scope_of(present: EnforcementScope, form: Mapping[str, str]) -> EnforcementScope:
    """Read the form. Raises: InvalidScopeError."""
    chosen: dict[str, Any] = {}
    for name, label in PLATFORMS:
        value = form.get(name, "")
        if value not in list(Coverage):
            raise InvalidScopeError(f"{label} is off, on tagged devices or on all devices.")
        chosen[name] = Coverage(value)
    return replace(
        present,
        is_allowed="is_allowed" in form,
        includes_domain_controllers="includes_domain_controllers" in form,
        configuration_manager_authority="configuration_manager_authority" in form,
        dynamic_tags=tuple(_tag_rule(line) for line in form.get("dynamic_tags", "").splitlines() if line.strip()),
        **chosen,
    )


def _tag_rule(line: str) -> TagRule:
    name, colon, rule = line.partition(":")
    if not (name.strip() and colon and rule.strip()):
        raise InvalidScopeError(
            f"{line.strip()[:64]!r} is no dynamic tag.", remedy="Write a name, a colon and a rule on each line."
        )
    return TagRule(display_name=name.strip(), rule=rule.strip())


def _rows(effect: ScopeEffect) -> list[MovedRow]:
    return [
        *(_row(marked("Released"), each, Enrollment(each.reason).cause) for each in effect.released),
        *(_row(marked("Taken"), each, Enrollment(each.reason).cause) for each in effect.taken),
    ]


def _cells(moved: MovedDevice) -> tuple[str, ...]:
    what = "taken" if moved.is_taken else "released"
    return moved.id, moved.display_name, moved.os_type, what, Enrollment(moved.reason).cause


def _row(happens: str, moved: Moved, why: str) -> MovedRow:
    return MovedRow(happens=happens, os_type=moved.os_type, count=moved.count, why=why, samples=moved.samples)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    show_scope,
    preview_scope,
    save_scope,
    export_moved,
)
