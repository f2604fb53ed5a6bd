"""``POST /deviceManagement/reports/get…Report``: a question, and its table."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from litestar import Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.contract.strict_json import encode
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import allow, needs
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.graph.describing import answers
from shieldwall.server.graph.reports.asking import Asked, ReportRequest, asked_in, check
from shieldwall.server.graph.reports.known import ACTIONS
from shieldwall.server.graph.reports.sources import Making, Reading
from shieldwall.server.graph.reports.tables import table
from shieldwall.server.graph.requests import GraphRequest, Services, body_of
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.schemas.reports import OCTETS, TABLE_ANSWER

PATH: Final = "/deviceManagement/reports"
READ: Final = allow(
    "DeviceManagementConfiguration.Read.All",
    "DeviceManagementConfiguration.ReadWrite.All",
    "DeviceManagementManagedDevices.Read.All",
    "DeviceManagementManagedDevices.ReadWrite.All",
)
REPORTING: Final = READ | needs(ResourceAction.VIEW_REPORTS)


def report_answer(services: AdminServices, making: Making, asked: Asked) -> Response[bytes]:
    """Answer a question, as the published API does: JSON that is called a stream of octets.

    Raises:
        InvalidQueryError: The question cannot be asked of this report.
        NotFoundError, InvalidIdError: It is about something that is not there.
    """
    now = services.clock.now()
    with services.fleet_view() as (connection, fleet):
        reading = Reading(connection=connection, catalog=services.catalog, tenant_id=services.tenant.id, fleet=fleet)
        source = making(reading, asked)
        checked = check(asked, source.columns)
        total, rows = source.read(asked, checked)
    return table_answer(table(rows, total, asked, checked), now if fleet is None else fleet.as_of or now)


def table_answer(answered: Json, as_of: datetime) -> Response[bytes]:
    """Answer with a table, and say of which moment what it counts is."""
    return Response(encode({**answered, "AsOf": moment(as_of)}), status_code=200, media_type=OCTETS)


def _asking(action: str, making: Making) -> HTTPRouteHandler:
    @post(
        f"{PATH}/{action}",
        opt=REPORTING | answers(TABLE_ANSWER, takes=ReportRequest, fails=[404]),
        sync_to_thread=True,
        status_code=200,
    )
    def get_report(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
        return report_answer(services, making, asked_in(body_of(request, body, ReportRequest)))

    get_report.fn.__doc__ = making.__doc__
    return get_report


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = tuple(_asking(*each) for each in ACTIONS.items())
