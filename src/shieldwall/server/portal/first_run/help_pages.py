"""Guided fixes: what each enrollment status means and how to get out of it, in general and for one device.

The page of a device shows the same steps with the commands of its own system, and beside them how it stands, live: it
says by itself when the status is over.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.response import Redirect

from shieldwall.contract.enrollment import STATUSES, EnrollmentCode
from shieldwall.contract.enrollment_errors import errors_of_code
from shieldwall.contract.ids import parse_device_id
from shieldwall.policy.enrollment import Enrollment
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, everybody, needs
from shieldwall.server.admin.gates import facts_of_device
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.directory.devices import get_device
from shieldwall.server.directory.enrollment import enrollments
from shieldwall.server.portal.first_run.guides import ALL_GUIDES
from shieldwall.server.portal.first_run.guides.decided_here import STEP_OF_REASON
from shieldwall.server.portal.first_run.guides.model import SYSTEMS, Guide, System, filled
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.errors import NotFoundError

_HELP: Final = "/enrollment-help"
_SYSTEM_WORDS: Final[dict[System, str]] = {"linux": "Linux", "windows": "Windows", "macos": "macOS"}
_SYSTEM_OF: Final[dict[str, System]] = {
    "Linux": "linux",
    "Windows": "windows",
    "Windows Server": "windows",
    "macOS": "macos",
}
_LONGEST_SEARCH: Final = 64


@get(_HELP, opt=SIGNED_IN | everybody(), sync_to_thread=True)
def list_statuses(rendering: Renderer, request: PageRequest) -> Response[str] | Redirect:
    """Show every enrollment status; whoever types a number or an error of a device is led to its guide."""
    sought = request.query_params.get("search", "").strip()[:_LONGEST_SEARCH]
    found = _code_named(sought)
    if found is not None:
        return redirect(f"{_HELP}/{int(found)}")
    return rendering.page(
        request,
        "first_run/statuses.html",
        section="/packages",
        statuses=[(int(code), STATUSES[code]) for code in ALL_GUIDES],
        sought=sought,
    )


@get(_HELP + "/{code:str}", opt=SIGNED_IN | everybody(), sync_to_thread=True)
def show_guide(services: Services, rendering: Renderer, request: PageRequest, code: FromPath[str]) -> Response[str]:
    """Show the way out of one status, with the commands of the system that was chosen."""
    known = _published(code)
    wanted = request.query_params.get("system")
    system: System = next((each for each in SYSTEMS if each == wanted), "linux")
    return rendering.page(
        request,
        "first_run/guide.html",
        section="/packages",
        code=int(known),
        told=STATUSES[known],
        guide=filled(ALL_GUIDES[known], services.settings.gateway_url),
        errors=errors_of_code(known),
        system=system,
        systems=[(f"{_HELP}/{int(known)}?system={each}", words) for each, words in _SYSTEM_WORDS.items()],
        here=f"{_HELP}/{int(known)}?system={system}",
    )


@get(
    "/devices/{device_id:str}/enrollment-help",
    opt=SIGNED_IN | needs(ResourceAction.READ_DEVICES, Reach.OBJECT),
    sync_to_thread=True,
)
def show_guide_of_device(
    services: Services, rendering: Renderer, request: PageRequest, device_id: FromPath[str]
) -> Response[str]:
    """Lead one device out of the status it has, and say when it is out."""
    wanted = parse_device_id(device_id)
    with services.database.read() as connection:
        device = get_device(connection, services.tenant.id, wanted)
        enrolled = enrollments(connection, [device])[device.id]
        checked_in = check_ins.get(connection, device.id).last_check_in
        facts = facts_of_device(connection, services.tenant.id, device.id)
    is_here = device.state is not DeviceState.RETIRED
    return rendering.page(
        request,
        "first_run/device_guide.html",
        section="/devices",
        live=(f"device:{device.id}",),
        device=device,
        code=int(enrolled.code),
        told=STATUSES[enrolled.code],
        enrolled=enrolled,
        last_check_in=checked_in,
        guide=_about(enrolled, services.settings.gateway_url),
        system=_SYSTEM_OF.get(device.os_type, "linux"),
        can_sync=device.state is DeviceState.ACTIVE and sight_of(request).may(ResourceAction.SYNC_DEVICES, facts),
        is_here=is_here,
    )


HANDLERS: Final[tuple[Any, ...]] = (list_statuses, show_guide, show_guide_of_device)


def _about(enrolled: Enrollment, gateway_url: str) -> Guide:
    """Return the guide of a status; where the reason is known, the step that helps comes first."""
    guide = ALL_GUIDES[enrolled.code]
    first = STEP_OF_REASON.get(enrolled.reason)
    if first is not None:
        kept = [step for step in guide.steps if step not in STEP_OF_REASON.values()]
        guide = Guide(meaning=guide.meaning, steps=(first, *kept), fixed=guide.fixed)
    return filled(guide, gateway_url)


def _published(text: str) -> EnrollmentCode:
    found = _numbered(text)
    if found is None:
        raise NotFoundError(f"No enrollment status {text[:_LONGEST_SEARCH]} was ever published.")
    return found


def _numbered(text: str) -> EnrollmentCode | None:
    is_short = text.isascii() and text.isdigit() and len(text) <= 3
    return next((code for code in ALL_GUIDES if is_short and int(code) == int(text)), None)


def _code_named(text: str) -> EnrollmentCode | None:
    """Return the status that somebody means who types its number, or an error that a device shows by it."""
    by_error = next((code for code in ALL_GUIDES if text in errors_of_code(code)), None)
    return _numbered(text) if by_error is None else by_error
