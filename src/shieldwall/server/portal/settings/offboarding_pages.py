"""The page of offboarding packages: which there are, and making one for the devices named or for all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, get_args

from litestar import Response, get, post
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId
from shieldwall.contract.messages import Envelope
from shieldwall.contract.strict_json import decode
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.gates import require_devices, require_everywhere
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.inventory import offboarding_packages
from shieldwall.server.inventory.offboarding_packages import OffboardingDraft
from shieldwall.server.inventory.packages import InvalidPackageDraftError, Platform
from shieldwall.server.portal.forms import InvalidFormError, lines, named_devices, ticked, whole
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.paging import page_of, paging
from shieldwall.server.portal.rendering import Rendering
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.settings.handouts import offboarding_files
from shieldwall.server.portal.settings.package_forms import PLATFORMS, WORDS
from shieldwall.server.portal.settings.ways_in import way_out
from shieldwall.server.storage.onboarding.offboarding_packages import OffboardingPackageRecord
from shieldwall.trust import strict_base64
from shieldwall.trust.offboarding import DEFAULT_LIFETIME, LONGEST_LIFETIME, OffboardingPackage

_PATH: Final = "/offboarding-packages"


@get(_PATH, opt=SIGNED_IN | needs(ResourceAction.OFFBOARD_DEVICES), sync_to_thread=True)
def list_offboarding_packages(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the offboarding packages, and the form of a new one."""
    return _page(services, rendering, request)


@post(
    _PATH,
    opt=SIGNED_IN | needs(ResourceAction.OFFBOARD_DEVICES, Reach.NAMED, sensitive=True),
    sync_to_thread=True,
    status_code=200,
)
def create_offboarding_package(
    services: Services, rendering: Renderer, request: PageRequest, form: Form
) -> Response[str]:
    """Make an offboarding package and hand out its file, with a script for each of its platforms."""
    check_form(services, request, form)
    platforms = ticked(form, "platform", get_args(Platform))
    try:
        record, envelope = _made(services, request, form, platforms)
    except (InvalidFormError, InvalidPackageDraftError) as problem:
        if not request.scope["user"].access.may_everywhere(ResourceAction.OFFBOARD_DEVICES):
            raise  # the page with the form shows every package of the tenant
        return _page(services, rendering, request, form, problem)
    said = decode(strict_base64.decode(envelope.payload), OffboardingPackage)
    return rendering.page(
        request,
        "settings/handout.html",
        section="/packages",
        title=marked("Offboarding package"),
        package=record,
        files=offboarding_files(envelope, said, platforms),
        ways=[],
        ways_out=[way_out(platform) for platform in platforms],
        holds_secret=False,
        back=_PATH,
        back_words=marked("I have saved them"),
    )


HANDLERS: Final[tuple[Any, ...]] = (list_offboarding_packages, create_offboarding_package)


def _made(
    services: AdminServices, request: PageRequest, form: Mapping[str, str], platforms: tuple[Platform, ...]
) -> tuple[OffboardingPackageRecord, Envelope]:
    """Make what the form asks for, of devices that the caller may offboard.

    Raises:
        InvalidFormError, InvalidPackageDraftError: The form holds what it cannot hold.
        NotFoundError, ForbiddenError: A device is not there, or not for the caller.
    """
    acting = acting_for(services, request)

    def require(connection: Connection, device_ids: tuple[DeviceId, ...]) -> None:
        require_everywhere(request) if not device_ids else require_devices(connection, request, device_ids)

    with services.database.read() as connection:
        chosen = named_devices(connection, sight_of(request), lines(form, "devices"), services.clock.now())
        draft = OffboardingDraft(
            display_name=form.get("name", "").strip(),
            lifetime=timedelta(days=whole(form, "days", "Days")),
            platforms=platforms,
            device_ids=tuple(device.id for device in chosen),
        )
        require(connection, draft.device_ids)
    record, envelope = offboarding_packages.make(acting, services.signer, draft)
    with services.database.write() as connection:
        require(connection, draft.device_ids)  # still
        offboarding_packages.keep(connection, acting, record)
    return record, envelope


def _page(
    services: AdminServices,
    rendering: Rendering,
    request: PageRequest,
    form: Mapping[str, str] | None = None,
    problem: ShieldwallError | None = None,
) -> Response[str]:
    """Show the packages and the form; where something is wrong with it, as it was filled."""
    new = {"name": "Offboarding package", "days": str(DEFAULT_LIFETIME.days), "platform_linux": "on", "devices": ""}
    values = new if form is None else form
    with services.database.read() as connection:
        found = offboarding_packages.list_packages(connection, services.tenant.id, page_of(request))
    return rendering.page(
        request,
        "settings/offboarding_packages.html",
        status=200 if problem is None else 400,
        section="/packages",
        live=("packages",),
        packages=found,
        now=services.clock.now(),
        platforms=PLATFORMS,
        chosen_platforms=ticked(values, "platform", get_args(Platform)),
        values={"name": "", "days": "", "devices": ""} | dict(values),
        most_days=LONGEST_LIFETIME.days,
        problem=problem,
        **WORDS,
        **paging(request, [package.id for package in found]),
    )
