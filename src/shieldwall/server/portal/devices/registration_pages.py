"""The page of existing registrations: identities that devices have in the directory, and importing one."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Redirect

from shieldwall.contract.ids import parse_device_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.directory import registrations
from shieldwall.server.directory.certificate_texts import read_certificate_text
from shieldwall.server.directory.registrations import RegistrationDraft
from shieldwall.server.portal.forms import choice
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.paging import page_of, paging
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.storage.device_records import TrustType
from shieldwall.server.storage.devices import registrations as stored_registrations

_PATH: Final = "/registrations"
_TRUST_TYPES: Final = (
    (TrustType.AZURE_AD, marked("joined to the directory")),
    (TrustType.SERVER_AD, marked("joined to a domain")),
    (TrustType.WORKPLACE, marked("registered")),
)

_SOURCES: Final = {"imported": marked("by an import"), "joined": marked("by a full join of ours")}


@get(_PATH, opt=SIGNED_IN | needs(ResourceAction.READ_DIRECTORY), sync_to_thread=True)
def list_registrations(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show the registrations, and the form that imports one."""
    with services.database.read() as connection:
        found = stored_registrations.list_all(connection, services.tenant.id, page_of(request))
    return rendering.page(
        request,
        "devices/registrations.html",
        section="/packages",
        registrations=found,
        trust_types=_TRUST_TYPES,
        trust_words=dict(_TRUST_TYPES),
        source_words=_SOURCES,
        **paging(request, [registration.device_id for registration, _ in found]),
    )


@post(_PATH, opt=SIGNED_IN | needs(ResourceAction.UPDATE_DIRECTORY), sync_to_thread=True)
def import_registration(services: Services, request: PageRequest, form: Form) -> Redirect:
    """Import the registration that a device has in another directory, with its certificate there."""
    check_form(services, request, form)
    draft = RegistrationDraft(
        device_id=parse_device_id(form.get("device", "").strip()),
        display_name=form.get("name", "").strip(),
        certificate=read_certificate_text(form.get("certificate", "")),
        trust_type=choice(form, "trust_type", "How it is there", TrustType),
        manager=form.get("manager", "").strip() or None,
    )
    with services.database.write() as connection:
        registrations.import_registration(connection, acting_for(services, request), draft)
    return redirect(_PATH)


HANDLERS: Final[tuple[Any, ...]] = (list_registrations, import_registration)
