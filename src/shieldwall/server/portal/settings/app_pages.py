"""Apps: programs that ask for tokens. Registered, changed, switched off; what each may do, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory import app_credentials, apps
from shieldwall.server.directory.apps import giving_of_person
from shieldwall.server.directory.first_party import delegated_of, is_first_party, require_not_ours
from shieldwall.server.openapi.permission_words import in_words
from shieldwall.server.portal.forms import choice, lines, many_fields, ticked
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.meanwhile import SEEN, ChangedMeanwhileError, require_seen, state_of, status_with
from shieldwall.server.portal.paging import PAGE_SIZE, page_of
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.settings.following import audited
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.identity import apps as stored_apps
from shieldwall.server.storage.identity_records import App, AppCredential
from shieldwall.server.storage.records import Page

_READ: Final = SIGNED_IN | needs(ResourceAction.READ_APPLICATIONS)
_MAY: Final = SIGNED_IN | needs(ResourceAction.UPDATE_APPLICATIONS)
_WRITE: Final = SIGNED_IN | needs(ResourceAction.UPDATE_APPLICATIONS, sensitive=True)
_ONE: Final = "/apps/{client_id:str}"
_MOST_FIELDS: Final = 2 * len(PERMISSIONS) + 20
_SOON: Final = timedelta(days=30)
WORDS: Final[Mapping[str, str]] = in_words(PERMISSIONS)
"""What each permission allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRow:
    """One app in the list; ``ends`` is when its last secret or certificate does."""

    app: App
    is_ours: bool
    credentials: int
    ends: datetime | None
    ends_soon: bool


@get("/apps", opt=_READ, sync_to_thread=True)
def list_apps(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the apps of the tenant, with when what they sign in with ends."""
    search, page = request.query_params.get("search", "").strip()[:256], page_of(request)
    where = (stored_apps.called_like(search),) if search else ()
    with services.database.read() as connection:
        found = apps.list_apps(connection, services.tenant.id, Page(size=PAGE_SIZE, after=page.after, where=where))
        rows = [_row(app, app_credentials.credentials_of(connection, app), services.clock.now()) for app in found]
    return rendering.page(
        request,
        "settings/apps.html",
        section="/apps",
        rows=rows,
        search=search,
        following=found[-1].client_id if len(found) == PAGE_SIZE else None,
        paged=page.after is not None,
        live=audited(request),
    )


@get("/apps/new", opt=_MAY, sync_to_thread=True)
def new_app(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Ask what an app shall be called and may do."""
    return _form_page(services, rendering, request, None, {})


@post("/apps", opt=_WRITE | many_fields(_MOST_FIELDS), sync_to_thread=True)
def create_app(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str] | Redirect:
    """Register an app; the caller gives it no more than they may give."""
    check_form(services, request, form)
    try:
        with services.database.write() as connection:
            app = apps.register_app(connection, acting_at(services, request), **_wanted(form))
            apps.require_holds(giving_of_person(caller_of(request).access), app)
    except ShieldwallError as problem:
        return _form_page(services, rendering, request, None, form, problem=problem)
    return redirect(f"/apps/{app.client_id}")


@get(_ONE, opt=_READ, sync_to_thread=True)
def show_app(services: Services, rendering: Renderer, request: PageRequest, client_id: FromPath[str]) -> Response[str]:
    """Show one app: what it may do, what it signs in with, and how a program gets a token."""
    with services.database.read() as connection:
        app = apps.get_app(connection, services.tenant.id, client_id.lower())
        kept = app_credentials.credentials_of(connection, app)
    return rendering.page(
        request,
        "settings/app.html",
        section="/apps",
        app=app,
        is_ours=is_first_party(app),
        delegated=delegated_of(app),
        words=WORDS,
        credentials=kept,
        now=services.clock.now(),
        soon=services.clock.now() + _SOON,
        may_everything=giving_of_person(caller_of(request).access) is None,
        token_command=_token_command(services, app),
        secret_days=app_credentials.SECRET_LIFETIME.days,
        most_days=app_credentials.LONGEST_LIFETIME.days,
        live=audited(request),
    )


@get(_ONE + "/edit", opt=_MAY, sync_to_thread=True)
def edit_app(services: Services, rendering: Renderer, request: PageRequest, client_id: FromPath[str]) -> Response[str]:
    """Show an app to be changed."""
    return _edit_page(services, rendering, request, client_id.lower())


@post(_ONE + "/edit", opt=_WRITE | many_fields(_MOST_FIELDS), sync_to_thread=True)
def save_app(
    services: Services, rendering: Renderer, request: PageRequest, client_id: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Change an app; tokens that allowed more than it may now are worth nothing."""
    check_form(services, request, form)
    with services.database.read() as connection:
        app = apps.get_app(connection, services.tenant.id, client_id.lower())
    require_not_ours(app)
    try:
        with services.database.write() as connection:
            targets.lock(connection)  # nobody else changes it until this is saved
            before = apps.get_app(connection, services.tenant.id, app.client_id)
            require_seen(form, _state(before), before.display_name)
            changed = apps.change_app(connection, acting_at(services, request), before, **_wanted(form))
            apps.require_holds(giving_of_person(caller_of(request).access), changed, before)
    except ChangedMeanwhileError as problem:
        return _edit_page(services, rendering, request, app.client_id, problem)
    except ShieldwallError as problem:
        return _form_page(services, rendering, request, app, form, problem=problem)
    return redirect(f"/apps/{app.client_id}")


@post(_ONE + "/switch", opt=_WRITE, sync_to_thread=True)
def switch_app(services: Services, request: PageRequest, client_id: FromPath[str], form: Form) -> Redirect:
    """Switch an app off, which ends its tokens, or on again."""
    check_form(services, request, form)
    with services.database.write() as connection:
        app = apps.get_app(connection, services.tenant.id, client_id.lower())
        enabled = choice(form, "enabled", "App", ("yes", "no")) == "yes"
        changed = apps.change_app(connection, acting_at(services, request), app, enabled=enabled)
        if changed.enabled:
            apps.require_holds(giving_of_person(caller_of(request).access), changed)
    return redirect(f"/apps/{app.client_id}")


@post(_ONE + "/revoke", opt=_WRITE, sync_to_thread=True)
def revoke_tokens(services: Services, request: PageRequest, client_id: FromPath[str], form: Form) -> Redirect:
    """Let every token that the app was handed be worth nothing."""
    check_form(services, request, form)
    with services.database.write() as connection:
        app = apps.get_app(connection, services.tenant.id, client_id.lower())
        apps.revoke_tokens(connection, acting_at(services, request), app)
    return redirect(f"/apps/{app.client_id}")


@get(_ONE + "/delete", opt=_MAY, sync_to_thread=True)
def ask_to_delete_app(
    services: Services, rendering: Renderer, request: PageRequest, client_id: FromPath[str]
) -> Response[str]:
    """Say what deleting an app would do."""
    with services.database.read() as connection:
        app = apps.get_app(connection, services.tenant.id, client_id.lower())
    return rendering.page(
        request,
        "settings/confirm_act.html",
        section="/apps",
        label=marked("Delete the app"),
        subject=app.display_name,
        effect=(
            marked("Its tokens, secrets and certificates are worth nothing at once, and programs that use it stop."),
            marked("To try that first, switch it off: it can be switched on again."),
        ),
        action=f"/apps/{app.client_id}/delete",
        back=f"/apps/{app.client_id}",
    )


@post(_ONE + "/delete", opt=_WRITE, sync_to_thread=True)
def delete_app(services: Services, request: PageRequest, client_id: FromPath[str], form: Form) -> Redirect:
    """Remove an app."""
    check_form(services, request, form)
    with services.database.write() as connection:
        apps.delete_app(connection, acting_at(services, request), client_id.lower())
    return redirect("/apps")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_apps,
    new_app,
    create_app,
    show_app,
    edit_app,
    save_app,
    switch_app,
    revoke_tokens,
    ask_to_delete_app,
    delete_app,
)


def _edit_page(
    services: AdminServices,
    rendering: Rendering,
    request: PageRequest,
    client_id: str,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    with services.database.read() as connection:
        app = apps.get_app(connection, services.tenant.id, client_id)
    require_not_ours(app)
    typed = _typed(app) | {SEEN: _state(app)}
    return _form_page(services, rendering, request, app, typed, problem=problem)


def _state(app: App) -> str:
    return state_of(sorted(_typed(app).items()))


def _row(app: App, kept: Sequence[AppCredential], now: datetime) -> AppRow:
    ends = max((each.expires_at for each in kept), default=None)
    return AppRow(
        app=app,
        is_ours=is_first_party(app),
        credentials=sum(each.expires_at > now for each in kept),
        ends=ends,
        ends_soon=ends is not None and ends < now + _SOON,
    )


def _wanted(form: Mapping[str, str]) -> dict[str, Any]:
    return {
        "display_name": form.get("display_name", "").strip(),
        "permissions": ticked(form, "permission", PERMISSIONS),
        "delegated": ticked(form, "delegated", PERMISSIONS),
        "redirect_uris": lines(form, "redirect_uris"),
        "is_public": "is_public" in form,
        "requires_proof": "requires_proof" in form,
    }


def _typed(app: App) -> dict[str, str]:
    """Write an app as the form says it."""
    switches = {"is_public": app.is_public, "requires_proof": app.requires_proof}
    return {
        "display_name": app.display_name,
        "redirect_uris": "\n".join(app.redirect_uris),
        **{f"permission_{each}": "on" for each in app.permissions},
        **{f"delegated_{each}": "on" for each in app.delegated},
        **{name: "on" for name, value in switches.items() if value},
    }


def _form_page(
    services: AdminServices,
    rendering: Rendering,
    request: PageRequest,
    app: App | None,
    typed: Mapping[str, str],
    *,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    return rendering.page(
        request,
        "settings/app_edit.html",
        status=status_with(problem),
        section="/apps",
        app=app,
        typed=typed,
        words=WORDS,
        may_everything=giving_of_person(caller_of(request).access) is None,
        tenant_name=services.tenant.display_name,
        problem=problem,
    )


def _token_command(services: AdminServices, app: App) -> str:
    url = services.settings.public_url
    return (
        f"curl --data-urlencode 'client_secret=SECRET' --data 'client_id={app.client_id}' \\\n"
        f"  --data 'grant_type=client_credentials' --data 'scope={url}/.default' \\\n"
        f"  {url}/{services.tenant.id}/oauth2/v2.0/token"
    )
