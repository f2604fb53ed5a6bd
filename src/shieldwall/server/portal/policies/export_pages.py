"""The devices of a policy as a file: long work, because there may be a million of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final, TextIO

from litestar import post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from shieldwall.contract.status import SettingState
from shieldwall.policy.words import name_of
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, caller_of, sight_of
from shieldwall.server.directory.names import visible
from shieldwall.server.inventory.table_export import Table, as_csv
from shieldwall.server.manager.policy_devices import DevicesWanted, devices_wanted
from shieldwall.server.manager.statuses import DeviceOfPolicy
from shieldwall.server.portal.figures import figures_for
from shieldwall.server.portal.handling import SIGNED_IN, Form, PageRequest, Services, Working
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.policies.links import Asked
from shieldwall.server.portal.policies.policy_pages import wanted_by
from shieldwall.server.portal.policies.shown import path_of, read_policy
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import check_form
from shieldwall.server.portal.work.progress import File, Progress
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.records import Page, Policy

_PORTION: Final = 1_000
_MEDIA: Final = {"csv": "text/csv", "json": "application/json"}
_COLUMNS: Final = ("deviceId", "device", "policy", "setting", "state", "lastCheckIn", "lastReport")


@post(
    "/policies/{policy_id:str}/devices/export/{kind:str}",
    opt=SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.OBJECT),
    sync_to_thread=True,
    status_code=303,
)
def export_devices(  # noqa: PLR0917 - what the framework hands it, and two parts of the path
    services: Services,
    request: PageRequest,
    form: Form,
    works: Working,
    policy_id: FromPath[str],
    kind: FromPath[str],
) -> Redirect:
    """Begin to write the devices that the page shows, all of them, into a file."""
    check_form(services, request, form)
    if kind not in _MEDIA:
        raise NotFoundError(f"There is no export {kind[:16]!r}.")
    policy, sight = read_policy(services, policy_id), sight_of(request)
    asked, figures = Asked({name: form.get(name, "") for name in ("state", "setting")}), figures_for(services, request)
    wanted = replace(wanted_by(services.catalog, asked), alike=figures.alike if figures else ())

    def run(progress: Progress) -> File:
        file = progress.new_file(f"devices-of-policy.{kind}", _MEDIA[kind])
        with file.open() as written:
            rows = _rows(services, policy, sight, wanted, progress)
            if kind == "csv":
                _write_csv(written, rows, setting=wanted.setting is not None)
            else:
                _write_json(written, rows)
        return file

    work = works.start(
        caller_of(request),
        marked("Export the devices of %(policy)s"),
        run,
        origin=path_of(policy.id, "devices"),
        values={"policy": policy.name},
    )
    return redirect(f"/work/{work.id}")


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (export_devices,)


def _rows(
    services: AdminServices, policy: Policy, sight: Sight, wanted: DevicesWanted, progress: Progress
) -> Iterator[dict[str, Any]]:
    """Read the devices portion by portion, each in a transaction of its own."""
    page = Page(size=_PORTION, where=sight.reported_devices())
    setting = "" if wanted.setting is None else name_of(services.catalog, wanted.setting)
    while True:
        with services.database.read() as connection:
            found = devices_wanted(
                connection, services.catalog, services.tenant.id, policy.id, wanted=wanted, page=page
            )
        yield from (_told(each, policy, setting) for each in found)
        progress.advance(len(found))
        if len(found) < _PORTION:
            return
        page = replace(page, after=found[-1].device_id)


def _told(device: DeviceOfPolicy, policy: Policy, setting: str) -> dict[str, Any]:
    return {
        "deviceId": device.device_id,
        "device": device.display_name,
        "policy": policy.name,
        **({"setting": setting} if setting else {}),
        "state": str(SettingState(device.state)),
        "lastCheckIn": device.last_check_in.isoformat() if device.last_check_in else None,
        "lastReport": device.status_at.isoformat() if device.status_at else None,
    }


def _write_csv(written: TextIO, rows: Iterable[dict[str, Any]], *, setting: bool) -> None:
    columns = [each for each in _COLUMNS if setting or each != "setting"]
    table = Table(name="devices-of-policy", columns=columns, rows=([row[each] for each in columns] for row in rows))
    written.writelines(as_csv(table))


def _write_json(written: TextIO, rows: Iterable[dict[str, Any]]) -> None:
    separator = "["
    for row in rows:
        shown = {name: visible(value) if isinstance(value, str) else value for name, value in row.items()}
        written.write(separator + json.dumps(shown, ensure_ascii=False))
        separator = ",\n"
    written.write("[]\n" if separator == "[" else "]\n")
