"""``cachedReportConfigurations`` and ``getCachedReport``: a question is made once, and its answer is read page by page.

The answer itself is not kept: it is read anew for each page, so it is never older than what devices reported, and a
configuration is complete as soon as it is there.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.server.graph.describing import answers, creates, lists, removes, shows
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.odata.fields import FieldMap, shown, text
from shieldwall.server.graph.reports.asking import Asked, ReportRequest, Skipped, Wanted, asked_in, read_filter
from shieldwall.server.graph.reports.handlers import PATH, REPORTING, report_answer
from shieldwall.server.graph.reports.known import named
from shieldwall.server.graph.requests import GraphRequest, Services, answer, body_of, empty, page_answer, query_of
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.schemas.reports import CACHED_REPORT, TABLE_ANSWER
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.reports import kept_reports
from shieldwall.server.storage.reports.kept_reports import CachedReport
from shieldwall.server.storage.tables.report_schema import cached_reports

LIFETIME: Final = timedelta(days=2)
MOST_KEPT: Final = 500
_ALL: Final = PATH + "/cachedReportConfigurations"
_ONE: Final = _ALL + "/{report_id:str}"
_MOST_ABOUT: Final = 4_096
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"\A[A-Za-z0-9_.\-]+\Z")]
FIELDS: Final = FieldMap(
    (
        text("id", cached_reports.c.id),
        text("reportName", cached_reports.c.report_name),
        *shown("filter", "select", "orderBy", "metadata", "status", "lastRefreshDateTime", "expirationDateTime"),
    )
)


class CachedReportRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A question to be kept under a name of the caller's."""

    id: _Name
    report_name: str | None = None
    filter: str | None = None
    select: tuple[str, ...] | None = ()
    order_by: tuple[str, ...] | None = ()
    metadata: Annotated[str, msgspec.Meta(max_length=_MOST_ABOUT)] | None = None


class CachedPageRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which part of the answer is wanted; columns and order may be others than those kept."""

    id: _Name
    select: tuple[str, ...] | None = ()
    search: str | None = None
    group_by: tuple[str, ...] | None = ()
    order_by: tuple[str, ...] | None = ()
    skip: Skipped = None
    top: Wanted = None


@post(_ALL, opt=REPORTING | creates(CACHED_REPORT, takes=CachedReportRequest), sync_to_thread=True)
def create_cached_report(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Keep a question under a name; one of the same name is replaced."""
    asked = body_of(request, body, CachedReportRequest)
    name = asked.report_name or asked.id.partition("_")[0]
    named(name)
    read_filter(asked.filter)
    now = services.clock.now()
    made = CachedReport(
        id=asked.id,
        tenant_id=services.tenant.id,
        report_name=name,
        filter=asked.filter or "",
        selected=tuple(asked.select or ()),
        order_by=tuple(asked.order_by or ()),
        about=asked.metadata or "",
        refreshed_at=now,
        expires_at=now + LIFETIME,
    )
    with services.database.write() as connection:
        kept_reports.remove_expired(connection, services.tenant.id, now)
        if kept_reports.count_cached(connection, services.tenant.id) >= MOST_KEPT:
            raise InvalidRequestError(f"At most {MOST_KEPT} reports are kept at a time.")
        kept_reports.put_cached(connection, made)
    return answer(_resource(made), status=201)


@get(_ALL, opt=REPORTING | lists(CACHED_REPORT), sync_to_thread=True)
def list_cached_reports(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the questions that are kept, in pages."""
    query = query_of(request)
    with services.database.read() as connection:
        page = query.page_of(FIELDS, cached_reports.c.expires_at > services.clock.now())
        found = kept_reports.list_cached(connection, services.tenant.id, page)
    return page_answer(services, request, query, [(each.id, _resource(each)) for each in found], FIELDS)


@get(_ONE, opt=REPORTING | shows(CACHED_REPORT), sync_to_thread=True)
def get_cached_report(services: Services, request: GraphRequest, report_id: FromPath[str]) -> Response[bytes]:
    """Return one question that is kept."""
    query = query_of(request)
    return answer(query.shape(_resource(_found(services, report_id))))


@delete(_ONE, opt=REPORTING | removes(), sync_to_thread=True)
def delete_cached_report(services: Services, report_id: FromPath[str]) -> Response[None]:
    """Forget a question."""
    with services.database.write() as connection:
        if not kept_reports.remove_cached(connection, services.tenant.id, report_id):
            raise NotFoundError(f"There is no cached report {report_id[:128]!r}.")
    return empty()


@post(
    PATH + "/getCachedReport",
    opt=REPORTING | answers(TABLE_ANSWER, takes=CachedPageRequest, fails=[404]),
    sync_to_thread=True,
    status_code=200,
)
def read_cached_report(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Answer a question that is kept, page by page."""
    part = body_of(request, body, CachedPageRequest)
    kept = _found(services, part.id)
    return report_answer(services, named(kept.report_name), _asked(kept, part))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    create_cached_report,
    list_cached_reports,
    get_cached_report,
    delete_cached_report,
    read_cached_report,
)


def _asked(kept: CachedReport, part: CachedPageRequest) -> Asked:
    return asked_in(
        ReportRequest(
            select=part.select or kept.selected,
            search=part.search,
            group_by=part.group_by,
            order_by=part.order_by or kept.order_by,
            skip=part.skip,
            top=part.top,
            filter=kept.filter,
        )
    )


def _found(services: Services, report_id: str) -> CachedReport:
    with services.database.read() as connection:
        found = kept_reports.find_cached(connection, services.tenant.id, report_id)
    if found is None or found.expires_at <= services.clock.now():
        raise NotFoundError(f"There is no cached report {report_id[:128]!r}.")
    return found


def _resource(kept: CachedReport) -> Json:
    return {
        "id": kept.id,
        "reportName": kept.report_name,
        "filter": kept.filter,
        "select": list(kept.selected),
        "orderBy": list(kept.order_by),
        "metadata": kept.about or None,
        "status": "completed",
        "lastRefreshDateTime": moment(kept.refreshed_at),
        "expirationDateTime": moment(kept.expires_at),
    }
