"""Identity providers: where else people may sign in. Only who may do everything here decides that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory import federation
from shieldwall.server.directory.federation import Admission, InvalidProviderError, ProviderSettings, settings_of
from shieldwall.server.directory.naming import named_group
from shieldwall.server.portal.forms import choice, lines
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.rendering import Rendering, redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.identity.identity_providers import IdentityProvider

_READ: Final = SIGNED_IN | needs(ResourceAction.READ_PEOPLE)
_MAY: Final = SIGNED_IN | needs(ResourceAction.UPDATE_PEOPLE)
_WRITE: Final = SIGNED_IN | needs(ResourceAction.UPDATE_PEOPLE, sensitive=True)
_PATH: Final = "/identity-providers"
_ONE: Final = _PATH + "/{provider_id:str}"
_ADMISSIONS: Final = (
    (Admission.INVITED, marked("People whom somebody invited here under the name that the provider gives")),
    (Admission.MAPPED, marked("Also whoever belongs to one of the groups below")),
)


@get(_PATH + "/new", opt=_MAY, sync_to_thread=True)
def new_provider(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Ask for a provider."""
    return _page(services, rendering, request, None, {"enabled": "on"})


@post(_PATH, opt=_WRITE, sync_to_thread=True)
def create_provider(
    services: Services, rendering: Renderer, request: PageRequest, form: Form
) -> Response[str] | Redirect:
    """Let people sign in at another OpenID provider."""
    check_form(services, request, form)
    federation.require_everything(caller_of(request).access)
    now = services.clock.now()
    try:
        with services.database.write() as connection:
            provider = IdentityProvider(
                id=services.new_id(),
                tenant_id=services.tenant.id,
                issuer=form.get("issuer", "").strip(),
                client_secret=form.get("client_secret", ""),
                created_at=now,
                modified_at=now,
                **_wanted(connection, services, form, ProviderSettings()),
            )
            acting, rules = acting_at(services, request), services.outgoing.rules
            federation.put_provider(connection, acting, provider, rules, is_new=True)
    except ShieldwallError as problem:
        return _page(services, rendering, request, None, form, problem=problem)
    return redirect(f"{_PATH}/{provider.id}")


@get(_ONE, opt=_READ, sync_to_thread=True)
def show_provider(
    services: Services, rendering: Renderer, request: PageRequest, provider_id: FromPath[str]
) -> Response[str]:
    """Show a provider, to be changed by who may do everything."""
    with services.database.read() as connection:
        found = federation.get_provider(connection, services.tenant.id, provider_id)
        typed = _typed(connection, found)
    return _page(services, rendering, request, found, typed)


@post(_ONE, opt=_WRITE, sync_to_thread=True)
def save_provider(
    services: Services, rendering: Renderer, request: PageRequest, provider_id: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Change a provider, or switch it off; without a new secret the one that is kept stays."""
    check_form(services, request, form)
    with services.database.read() as connection:
        before = federation.get_provider(connection, services.tenant.id, provider_id)
    federation.require_everything(caller_of(request).access)
    try:
        with services.database.write() as connection:
            before = federation.get_provider(connection, services.tenant.id, before.id)
            wanted = _wanted(connection, services, form, settings_of(before))
            secret = form.get("client_secret", "") or before.client_secret
            after = replace(before, **wanted, client_secret=secret, modified_at=services.clock.now())
            acting, rules = acting_at(services, request), services.outgoing.rules
            federation.put_provider(connection, acting, after, rules, is_new=False)
    except ShieldwallError as problem:
        return _page(services, rendering, request, before, form, problem=problem)
    return redirect(f"{_PATH}/{before.id}")


@get(_ONE + "/delete", opt=_MAY, sync_to_thread=True)
def ask_to_delete_provider(
    services: Services, rendering: Renderer, request: PageRequest, provider_id: FromPath[str]
) -> Response[str]:
    """Say what removing a provider would do."""
    with services.database.read() as connection:
        found = federation.get_provider(connection, services.tenant.id, provider_id)
    return rendering.page(
        request,
        "settings/confirm_act.html",
        section="/connectors",
        label=marked("Remove the identity provider"),
        subject=found.display_name,
        effect=(
            marked("Nobody signs in there any more. Who has no passkey here needs a one-time code from then on."),
            marked("People and their roles stay. To try it first, switch the provider off."),
        ),
        action=f"{_PATH}/{found.id}/delete",
        back=f"{_PATH}/{found.id}",
    )


@post(_ONE + "/delete", opt=_WRITE, sync_to_thread=True)
def delete_provider(services: Services, request: PageRequest, provider_id: FromPath[str], form: Form) -> Redirect:
    """Remove a provider."""
    check_form(services, request, form)
    with services.database.write() as connection:
        found = federation.get_provider(connection, services.tenant.id, provider_id)
        federation.require_everything(caller_of(request).access)
        federation.remove_provider(connection, acting_at(services, request), found)
    return redirect("/connectors")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    new_provider,
    create_provider,
    show_provider,
    save_provider,
    ask_to_delete_provider,
    delete_provider,
)


def _wanted(
    connection: Connection, services: AdminServices, form: Mapping[str, str], before: ProviderSettings
) -> dict[str, Any]:
    """Read the form, but for what only a new provider says. Raises: InvalidFormError, InvalidProviderError."""
    admission = choice(form, "admission", "Who comes in", [each for each, _ in _ADMISSIONS])
    mappings = {}
    for line in lines(form, "mappings"):
        theirs, equals, ours = line.partition("=")
        if not (theirs.strip() and equals and ours.strip()):
            raise InvalidProviderError(
                f"{line[:64]!r} leads to no group.", remedy="Write on each line: its group = our group."
            )
        mappings[theirs.strip()] = named_group(connection, services.tenant.id, ours.strip())
    settings = ProviderSettings(
        scope=form.get("scope", "").strip() or before.scope,
        name_claim=form.get("name_claim", "").strip() or before.name_claim,
        group_claim=form.get("group_claim", "").strip() or before.group_claim,
        admission=admission,
        group_mappings=mappings,
        required_acr=before.required_acr,
        required_amr=before.required_amr,
        max_age_seconds=before.max_age_seconds,
    )
    return {
        "display_name": form.get("display_name", "").strip(),
        "client_id": form.get("client_id", "").strip(),
        "settings": encode(settings).decode(),
        "enabled": "enabled" in form,
    }


def _typed(connection: Connection, provider: IdentityProvider) -> dict[str, str]:
    settings = settings_of(provider)
    names = groups.names(connection, settings.group_mappings.values())
    mappings = "\n".join(f"{theirs} = {names.get(ours, ours)}" for theirs, ours in settings.group_mappings.items())
    return {
        "display_name": provider.display_name,
        "issuer": provider.issuer,
        "client_id": provider.client_id,
        "scope": settings.scope,
        "name_claim": settings.name_claim,
        "group_claim": settings.group_claim,
        "admission": settings.admission.value,
        "mappings": mappings,
        **({"enabled": "on"} if provider.enabled else {}),
    }


def _page(
    services: AdminServices,
    rendering: Rendering,
    request: PageRequest,
    provider: IdentityProvider | None,
    typed: Mapping[str, str],
    *,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    access = caller_of(request).access
    return rendering.page(
        request,
        "settings/provider.html",
        status=200 if problem is None else 400,
        section="/connectors",
        provider=provider,
        typed=typed,
        admissions=_ADMISSIONS,
        may_everything=all(access.may_everywhere(action) for action in ResourceAction),
        redirect_uri=f"{services.settings.public_url}/sign-in/federated/callback",
        defaults=ProviderSettings(),
        problem=problem,
    )
