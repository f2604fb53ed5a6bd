"""The pages of onboarding packages: the list, making one, one package with who came with it, and revoking it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, get_args

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from shieldwall.contract.ids import parse_package_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.authorization import needs
from shieldwall.server.inventory import packages
from shieldwall.server.inventory.packages import Approval, Attestation, JoinType, PackageDraft, Platform
from shieldwall.server.package_handout import hand_out_package
from shieldwall.server.portal.forms import choice, lines, ticked, whole
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.paging import page_of, paging
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.settings.handouts import ONBOARDING_SCRIPTS, onboarding_files
from shieldwall.server.portal.views import PackageRow, package_state

PLATFORMS: Final[tuple[tuple[Platform, str], ...]] = (("linux", "Linux"), ("windows", "Windows"), ("macos", "macOS"))
_APPROVALS: Final[tuple[tuple[Approval, str], ...]] = (("auto", "at once"), ("manual", "by an administrator"))
_ATTESTATIONS: Final[tuple[tuple[Attestation, str], ...]] = (
    ("optional", "where there is a TPM"),
    ("tpm-required", "required: a trusted TPM has to prove the key"),
    ("none", "not asked for"),
)
_JOIN_TYPES: Final[tuple[tuple[JoinType, str], ...]] = (
    ("synthetic", "synthetic registrations"),
    ("full", "full registrations as well"),
)


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
        packages=rows,
        **paging(request, [package.id for package in found]),
    )


@get("/packages/new", opt=SIGNED_IN | needs(ResourceAction.UPDATE_ONBOARDING), sync_to_thread=True)
def new_package(rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the form of a new package."""
    return rendering.page(
        request,
        "settings/package_new.html",
        section="/packages",
        platforms=PLATFORMS,
        approvals=_APPROVALS,
        attestations=_ATTESTATIONS,
        join_types=_JOIN_TYPES,
        scripts=[(kind, about) for kind, (_, about) in ONBOARDING_SCRIPTS.items()],
    )


@post("/packages", opt=SIGNED_IN | needs(ResourceAction.UPDATE_ONBOARDING), sync_to_thread=True, status_code=200)
def create_package(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str]:
    """Make a package, and hand out its file and the scripts asked for; their secret is shown this once."""
    check_form(services, request, form)
    draft = PackageDraft(
        display_name=form.get("name", "").strip(),
        lifetime=timedelta(days=whole(form, "days", "Days")),
        max_uses=whole(form, "uses", "Uses"),
        platforms=ticked(form, "platform", get_args(Platform)),
        tags=lines(form, "tags"),
        approval=choice(form, "approval", "Devices are let in", get_args(Approval)),
        attestation=choice(form, "attestation", "Attestation", get_args(Attestation)),
        join_type=choice(form, "join", "Makes", get_args(JoinType)),
    )
    with services.database.write() as connection:
        acting = services.acting(request.scope["user"].actor)
        made = hand_out_package(services, connection, acting, draft, ticked(form, "script", ONBOARDING_SCRIPTS))
    return rendering.page(
        request,
        "settings/handout.html",
        section="/packages",
        title="Onboarding package",
        package=made.record,
        files=onboarding_files(made.envelope, made.scripts),
        holds_secret=True,
        back=f"/packages/{made.record.id}",
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
        package=package,
        state=package_state(package, services.clock.now()),
        devices=found,
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
        label="Revoke",
        subject=package.display_name,
        effect=[
            "Nobody onboards with this package any more, and there is no way back: make another one instead.",
            "Devices that it let in stay. Those that still wait are turned away.",
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
        packages.revoke_package(connection, services.acting(request.scope["user"].actor), wanted)
    return redirect(f"/packages/{wanted}")


HANDLERS: Final[tuple[Any, ...]] = (
    list_packages,
    new_package,
    create_package,
    show_package,
    ask_to_revoke,
    revoke_package,
)
