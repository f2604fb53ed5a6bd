"""Doing the same to many devices: a page that says to which and what it does, and the work that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from litestar import Response, get, post
from litestar.response import Redirect
from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, parse_device_id
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.gates import require_devices
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.inventory import machines
from shieldwall.server.inventory.table_export import Table, as_csv
from shieldwall.server.manager import in_bulk
from shieldwall.server.manager.in_bulk import Refused
from shieldwall.server.portal.devices.asking import Asked, read_query
from shieldwall.server.portal.devices.bulk import BULK_ACTIONS, Act, BulkAction
from shieldwall.server.portal.devices.list_pages import PATH, seen
from shieldwall.server.portal.forms import InvalidFormError
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Renderer, Services, Working
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.work.progress import File, Page, Progress, Run
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.inventory.inventory_queries import Filter

_MOST_CHOSEN: Final = 200
_MOST_SHOWN: Final = 20
_HEAD: Final = ("id", "cause", "remedy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The devices that something is done to: named one by one, or all that fit what a list asks for."""

    ids: tuple[DeviceId, ...] = ()
    asked: Asked | None = None


def asking(action: BulkAction) -> Callable[..., Response[str]]:
    """Make what shows the page that asks for this action."""

    def ask(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
        given = request.query_params
        chosen = _chosen(given.getall("device", []), given.get("fitting", "") if given.get("all") else None)
        with services.database.read() as connection:
            shown, count = _shown(connection, services, request, action, chosen)
        return rendering.page(
            request,
            "devices/bulk.html",
            section=PATH,
            action=action,
            shown=shown,
            count=count,
            ids=" ".join(chosen.ids),
            fitting=None if chosen.asked is None else chosen.asked.query,
            back=PATH if chosen.asked is None else f"{PATH}?{chosen.asked.query}",
        )

    ask.__doc__ = f"Ask before this is done to many devices: {action.label}."
    return ask


def doing(action: BulkAction) -> Callable[..., Redirect]:
    """Make what begins the work that does this to each device."""

    def act(services: Services, request: PageRequest, form: Form, works: Working) -> Redirect:
        check_form(services, request, form)
        chosen = _chosen(form.get("devices", "").split(), form.get("fitting") if "fitting" in form else None)
        once = action.make(acting_for(services, request), form)
        fitting = None if chosen.asked is None else _fitting(services, request, action, chosen.asked)
        with services.database.read() as connection:
            if fitting is None:
                require_devices(connection, request, chosen.ids)
                count = len(chosen.ids)
            else:
                count = machines.count_machines(connection, services.tenant.id, fitting)
        if not count:
            raise InvalidFormError("No device was chosen.", remedy="Go back to the list and choose some.")
        if action.is_grave:
            _require_number(form, count)
        back = PATH if chosen.asked is None else f"{PATH}?{chosen.asked.query}"
        run = _running(services, once, chosen.ids, fitting, back)
        return redirect(f"/work/{works.start(caller_of(request), action.label, run, origin=back).id}")

    act.__doc__ = f"Begin to do this to many devices: {action.label}."
    return act


def _chosen(ids: Iterable[str], fitting: str | None) -> Chosen:
    """Read which devices are meant. Raises: InvalidFormError, InvalidIdError, InvalidMachineQueryError."""
    if fitting is not None:
        return Chosen(asked=read_query(fitting).here())
    named = tuple(dict.fromkeys(parse_device_id(each) for each in ids))
    if len(named) > _MOST_CHOSEN:
        raise InvalidFormError(
            f"At most {_MOST_CHOSEN} devices are chosen one by one.", remedy="Filter the list and choose all that fit."
        )
    return Chosen(ids=named)


def _fitting(services: AdminServices, request: PageRequest, action: BulkAction, asked: Asked) -> Filter:
    return seen(request, asked.filter(services.clock.now()), action.action)


def _shown(
    connection: Connection, services: AdminServices, request: PageRequest, action: BulkAction, chosen: Chosen
) -> tuple[list[Device], int]:
    """Return the first of the devices that are meant, and how many there are."""
    if chosen.asked is None:
        require_devices(connection, request, chosen.ids)
        found = [each for each in devices.find_many(connection, chosen.ids) if each.tenant_id == services.tenant.id]
        return found[:_MOST_SHOWN], len(found)
    wanted = machines.Wanted(filter=_fitting(services, request, action, chosen.asked), size=_MOST_SHOWN)
    listed = machines.list_machines(connection, services.tenant.id, wanted)
    return [each.device for each in listed], machines.count_machines(connection, services.tenant.id, wanted.filter)


def _require_number(form: Form, count: int) -> None:
    typed = form.get("number", "").strip().replace(",", "")
    if typed != str(count) or form.get("count") != str(count):
        raise InvalidFormError(
            f"The number typed is not how many devices these are, {count:,}, so nothing was done.",
            remedy="Go back, look at the devices once more, and type how many they are.",
        )


def _running(services: AdminServices, act: Act, ids: tuple[DeviceId, ...], fitting: Filter | None, back: str) -> Run:
    database, tenant = services.database, services.tenant.id

    def run(progress: Progress) -> File | Page:
        if fitting is None:
            progress.expect(len(ids))
            among: Iterable[DeviceId] = ids
        else:
            progress.expect(in_bulk.count(database, tenant, fitting))
            among = in_bulk.fitting(database, tenant, fitting)
        refused = []
        for came in in_bulk.each(database, among, act):
            progress.advance()
            if came is not None:
                refused.append(came)
        return _told(progress, refused) if refused else Page(back)

    return run


def _told(progress: Progress, refused: list[Refused]) -> File:
    """Write down with which devices it could not be done, and why."""
    file = progress.new_file("not-done.csv", "text/csv")
    with file.open() as written:
        rows = ((each.device_id, each.cause, each.remedy) for each in refused)
        written.writelines(as_csv(Table(name="not-done", columns=_HEAD, rows=rows)))
    return file


def _handlers(action: BulkAction) -> tuple[Any, Any]:
    path = f"{PATH}/bulk/{action.name}"
    reading = SIGNED_IN | needs(action.action, Reach.NAMED)
    wanted = SIGNED_IN | needs(action.action, Reach.NAMED, sensitive=action.is_sensitive)
    return (
        get(path, name=f"ask-bulk-{action.name}", opt=reading, sync_to_thread=True)(asking(action)),
        post(path, name=f"do-bulk-{action.name}", opt=wanted, sync_to_thread=True)(doing(action)),
    )


HANDLERS: Final[tuple[Any, ...]] = tuple(handler for action in BULK_ACTIONS for handler in _handlers(action))
