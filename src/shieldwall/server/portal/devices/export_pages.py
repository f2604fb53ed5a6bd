"""The list of devices as a file: made beside the pages, with progress, or sent at once to programs that wait for it."""

from __future__ import annotations

from typing import Any, Final

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Stream

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.inventory import machine_export, machines
from shieldwall.server.inventory.machine_queries import InvalidMachineQueryError
from shieldwall.server.manager import in_bulk
from shieldwall.server.portal.devices.asking import read_query
from shieldwall.server.portal.devices.list_pages import PATH, asked_of, seen
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Services, Working
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.rendering import HEADERS, redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.work.progress import File, Progress

_KINDS: Final = {"csv": "text/csv", "json": "application/json"}
_EXPORT: Final = marked("Export of devices")


@get(PATH + "/export/{kind:str}", opt=SIGNED_IN | needs(ResourceAction.READ_DEVICES, Reach.LISTED), sync_to_thread=True)
def export_devices(services: Services, request: PageRequest, kind: FromPath[str]) -> Stream:
    """Write the devices that fit as one file, csv or json."""
    asked = asked_of(request)
    media_type = _media_type(kind)
    fitting = seen(request, asked.filter(services.clock.now()))
    found = machines.all_machines(services.database, services.tenant.id, fitting, asked.order)
    write = machine_export.as_csv if kind == "csv" else machine_export.as_json
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="devices.{kind}"'}
    return Stream(write(found), media_type=media_type, headers=headers)


@post(PATH + "/export", opt=SIGNED_IN | needs(ResourceAction.READ_DEVICES, Reach.LISTED), sync_to_thread=True)
def start_export(services: Services, request: PageRequest, form: Form, works: Working) -> Redirect:
    """Begin to write the devices that fit into a file."""
    check_form(services, request, form)
    asked, kind = read_query(form.get("query", "")).here(), form.get("kind", "")
    media_type, order = _media_type(kind), asked.order
    fitting = seen(request, asked.filter(services.clock.now()))
    write = machine_export.as_csv if kind == "csv" else machine_export.as_json
    database, tenant = services.database, services.tenant.id

    def run(progress: Progress) -> File:
        progress.expect(in_bulk.count(database, tenant, fitting))

        def counting() -> Any:
            for machine in machines.all_machines(database, tenant, fitting, order):
                progress.advance()
                yield machine

        file = progress.new_file(f"devices.{kind}", media_type)
        with file.open() as written:
            for part in write(counting()):
                written.write(part.decode())
        return file

    back = f"{PATH}?{asked.query}"
    return redirect(f"/work/{works.start(caller_of(request), _EXPORT, run, origin=back).id}")


def _media_type(kind: str) -> str:
    if kind not in _KINDS:
        raise InvalidMachineQueryError("An export is csv or json.")
    return _KINDS[kind]


HANDLERS: Final[tuple[Any, ...]] = (export_devices, start_export)
