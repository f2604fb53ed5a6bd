"""The pages of onboarding packages: the list, making one, one package with who came with it, and revoking it."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import parse_package_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.package_handout import hand_out_package
from shieldwall.server.inventory import packages
from shieldwall.server.portal.forms import ticked
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.paging import page_of, paging
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.settings.handouts import ONBOARDING_SCRIPTS, handed_out
from shieldwall.server.portal.settings.package_forms import (
    APPROVALS,
    ATTESTATIONS,
    JOIN_TYPES,
    WORDS,
    draft_of,
    like,
    offered,
)
from shieldwall.server.portal.settings.ways_in import way_in
from shieldwall.server.portal.views import PackageRow, package_state


@get("/packages", opt=SIGNED_IN | needs(ResourceAction.READ_ONBOARDING), sync_to_thread=True)
def list_packages(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the onboarding packages."""
    with services.database.read() as connection:
        found = packages.list_packages(connection, services.tenant.id, page_of(request))
    now = services.clock.now()
    rows = [PackageRow(package=package, state=package_state(package, now)) for package in found]
    return rendering.page(
        request,
        "settings/packages.html",
        section="/packages",
        live=("packages",),
        packages=rows,
        **WORDS,
        **paging(request, [package.id for package in found]),
    )


@get("/packages/new", opt=SIGNED_IN | needs(ResourceAction.UPDATE_ONBOARDING), sync_to_thread=True)
def new_package(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the form of a new package; like one that is there already, where ``like`` names it."""
    filled, wanted = None, request.query_params.get("like")
    if wanted is not None:
        with services.database.read() as connection:
            filled = like(packages.get_package(connection, services.tenant.id, parse_package_id(wanted)))
    return rendering.page(request, "settings/package_new.html", section="/packages", **offered(filled))


@post("/packages", opt=SIGNED_IN | needs(ResourceAction.UPDATE_ONBOARDING), sync_to_thread=True, status_code=200)
def create_package(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str]:
    """Make a package, and hand out its file and the scripts asked for; their secret is shown this once."""
    check_form(services, request, form)
    try:
        draft, kinds = draft_of(form), ticked(form, "script", ONBOARDING_SCRIPTS)
        made = hand_out_package(services, acting_for(services, request), draft, kinds)
    except ShieldwallError as problem:
        shown = offered(form, problem)
        return rendering.page(request, "settings/package_new.html", status=400, section="/packages", **shown)
    return rendering.page(
        request,
        "settings/handout.html",
        section="/packages",
        title=marked("Onboarding package"),
        package=made.record,
        **handed_out(made),
        back=f"/packages/{made.record.id}",
        back_words=marked("I have saved them"),
    )


@get("/packages/{package_id:str}", opt=SIGNED_IN | needs(ResourceAction.READ_ONBOARDING), sync_to_thread=True)
def show_package(
    services: Services, rendering: Renderer, request: PageRequest, package_id: FromPath[str]
) -> Response[str]:
    """Show one package: what it allows, who made it, who came with it."""
    wanted, tenant = parse_package_id(package_id), services.tenant.id
    with services.database.read() as connection:
        package = packages.get_package(connection, tenant, wanted)
        found = packages.devices_of_package(connection, tenant, wanted, page_of(request))
    return rendering.page(
        request,
        "settings/package.html",
        section="/packages",
        live=("packages", "devices"),
        package=package,
        state=package_state(package, services.clock.now()),
        ways=[way_in(platform) for platform in package.platforms],
        words={**dict(APPROVALS), **dict(ATTESTATIONS), **dict(JOIN_TYPES)},
        devices=found,
        **WORDS,
        can_revoke=package.revoked_at is None,
        **paging(request, [device.id for device in found]),
    )


@get("/packages/{package_id:str}/revoke", opt=SIGNED_IN | needs(ResourceAction.UPDATE_ONBOARDING), sync_to_thread=True)
def ask_to_revoke(
    services: Services, rendering: Renderer, request: PageRequest, package_id: FromPath[str]
) -> Response[str]:
    """Ask before a package is revoked."""
    with services.database.read() as connection:
        package = packages.get_package(connection, services.tenant.id, parse_package_id(package_id))
    return rendering.page(
        request,
        "settings/confirm.html",
        section="/packages",
        label=marked("Revoke"),
        subject=package.display_name,
        effect=[
            marked("Nobody onboards with this package any more, and there is no way back: make another one instead."),
            marked("Devices that it let in stay. Those that still wait are turned away."),
        ],
        action=f"/packages/{package.id}/revoke",
        back=f"/packages/{package.id}",
    )


@post("/packages/{package_id:str}/revoke", opt=SIGNED_IN | needs(ResourceAction.UPDATE_ONBOARDING), sync_to_thread=True)
def revoke_package(services: Services, request: PageRequest, package_id: FromPath[str], form: Form) -> Redirect:
    """Let nobody onboard with a package any more."""
    check_form(services, request, form)
    wanted = parse_package_id(package_id)
    with services.database.write() as connection:
        packages.revoke_package(connection, acting_for(services, request), wanted)
    return redirect(f"/packages/{wanted}")


HANDLERS: Final[tuple[Any, ...]] = (
    list_packages,
    new_package,
    create_package,
    show_package,
    ask_to_revoke,
    revoke_package,
)
