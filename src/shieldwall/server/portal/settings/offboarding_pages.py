"""The page of offboarding packages: which there are, and making one for the devices named or for all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final, get_args

from litestar import Response, get, post

from shieldwall.contract.strict_json import decode
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.authorization import Reach, needs
from shieldwall.server.inventory import offboarding_packages
from shieldwall.server.inventory.offboarding_packages import OffboardingDraft
from shieldwall.server.inventory.packages import Platform
from shieldwall.server.portal.forms import lines, named_devices, ticked, whole
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.paging import page_of, paging
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.settings.handouts import offboarding_files
from shieldwall.server.portal.settings.package_pages import PLATFORMS
from shieldwall.trust import strict_base64
from shieldwall.trust.offboarding import DEFAULT_LIFETIME, LONGEST_LIFETIME, OffboardingPackage

_PATH: Final = "/offboarding-packages"


@get(_PATH, opt=SIGNED_IN | needs(ResourceAction.OFFBOARD_DEVICES), sync_to_thread=True)
def list_offboarding_packages(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the offboarding packages, and the form of a new one."""
    with services.database.read() as connection:
        found = offboarding_packages.list_packages(connection, services.tenant.id, page_of(request))
    return rendering.page(
        request,
        "settings/offboarding_packages.html",
        section="/packages",
        packages=found,
        now=services.clock.now(),
        platforms=PLATFORMS,
        days=DEFAULT_LIFETIME.days,
        most_days=LONGEST_LIFETIME.days,
        **paging(request, [package.id for package in found]),
    )


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
    with services.database.write() as connection:
        chosen = named_devices(connection, services.tenant.id, lines(form, "devices"), services.clock.now())
        draft = OffboardingDraft(
            display_name=form.get("name", "").strip(),
            lifetime=timedelta(days=whole(form, "days", "Days")),
            platforms=platforms,
            device_ids=tuple(device.id for device in chosen),
        )
        acting = services.acting(request.scope["user"].actor)
        record, envelope = offboarding_packages.create_package(connection, acting, services.signer, draft)
    said = decode(strict_base64.decode(envelope.payload), OffboardingPackage)
    return rendering.page(
        request,
        "settings/handout.html",
        section="/packages",
        title="Offboarding package",
        package=record,
        files=offboarding_files(envelope, said, platforms),
        holds_secret=False,
        back=_PATH,
    )


HANDLERS: Final[tuple[Any, ...]] = (list_offboarding_packages, create_offboarding_package)
