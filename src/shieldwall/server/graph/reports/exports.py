"""``exportJobs``: a report as a file, fetched from an address that opens it alone and ends within the hour.

The file is written when it is fetched, from what devices reported until then; so a job is complete at once, and none of
its rows lies about. The address holds a random token and needs no other credentials, as the published one does.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.authorization import PUBLIC
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.graph.describing import answers, creates, lists, shows
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.odata.fields import FieldMap, shown, text
from shieldwall.server.graph.reports.asking import ReportRequest, asked_in, check
from shieldwall.server.graph.reports.files import ADDED, as_csv, as_json, zipped
from shieldwall.server.graph.reports.handlers import PATH, REPORTING
from shieldwall.server.graph.reports.known import named
from shieldwall.server.graph.reports.sources import Reading, in_portions
from shieldwall.server.graph.requests import GraphRequest, Services, answer, body_of, page_answer, query_of
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.schemas.reports import EXPORT_JOB
from shieldwall.server.listening.admin_requests import UNLOGGED_BELOW
from shieldwall.server.openapi.description import Answer
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.reports import kept_reports
from shieldwall.server.storage.reports.kept_reports import ExportJob
from shieldwall.server.storage.tables.report_schema import export_jobs

LIFETIME: Final = timedelta(hours=1)
MOST_KEPT: Final = 1_000
"""Of one tenant: one every four seconds."""
DOWNLOADS: Final = f"{UNLOGGED_BELOW}reports"
_ALL: Final = PATH + "/exportJobs"
_ONE: Final = _ALL + "/{job_id:str}"
_TOKEN_BYTES: Final = 32
_FILE: Final = Answer(
    status=200,
    meaning="The file, a zip with one document.",
    content={"application/zip": {}},
    headers=("Content-Disposition", "Cache-Control"),
)
FIELDS: Final = FieldMap(
    (
        text("id", export_jobs.c.id),
        text("reportName", export_jobs.c.report_name),
        *shown("filter", "select", "search", "format", "localizationType", "snapshotId", "status", "url"),
        *shown("requestDateTime", "expirationDateTime"),
    )
)


class ExportRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A report to be exported."""

    report_name: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    filter: str | None = None
    select: tuple[str, ...] | None = ()
    search: str | None = None
    format: Literal["csv", "json"] | None = None
    localization_type: Literal["localizedValuesAsAdditionalColumn", "replaceLocalizableValues"] | None = None
    snapshot_id: str | None = None


@post(_ALL, opt=REPORTING | creates(EXPORT_JOB, takes=ExportRequest, fails=[404]), sync_to_thread=True)
def create_export_job(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Make a report ready to be fetched as a zip with one CSV or JSON document."""
    asked = body_of(request, body, ExportRequest)
    now, job_id = services.clock.now(), services.new_id()
    job = ExportJob(
        id=f"{asked.report_name}_{job_id}",
        tenant_id=services.tenant.id,
        report_name=asked.report_name,
        filter=asked.filter or "",
        selected=tuple(asked.select or ()),
        search=asked.search or "",
        file_format=asked.format or "csv",
        localization=asked.localization_type or ADDED,
        token=secrets.token_urlsafe(_TOKEN_BYTES),
        requested_at=now,
        expires_at=now + LIFETIME,
    )
    with services.database.read() as connection:
        _check(Reading(connection=connection, catalog=services.catalog, tenant_id=services.tenant.id), job)
    with services.database.write() as connection:
        kept_reports.remove_expired(connection, services.tenant.id, now)
        if kept_reports.count_jobs(connection, services.tenant.id) >= MOST_KEPT:
            raise InvalidRequestError(f"At most {MOST_KEPT} exports are kept at a time, each for an hour.")
        kept_reports.add_job(connection, job)
        acting_for(services, request).record(
            connection, "report.exported", "report", job.id, name=job.report_name, filter=job.filter
        )
    return answer(_resource(services, job, now), status=201)


@get(_ALL, opt=REPORTING | lists(EXPORT_JOB), sync_to_thread=True)
def list_export_jobs(services: Services, request: GraphRequest) -> Response[bytes]:
    """List export jobs, in pages."""
    query, now = query_of(request), services.clock.now()
    with services.database.read() as connection:
        found = kept_reports.list_jobs(connection, services.tenant.id, query.page_of(FIELDS))
    return page_answer(services, request, query, [(each.id, _resource(services, each, now)) for each in found], FIELDS)


@get(_ONE, opt=REPORTING | shows(EXPORT_JOB), sync_to_thread=True)
def get_export_job(services: Services, request: GraphRequest, job_id: FromPath[str]) -> Response[bytes]:
    """Return one export job; `url` is where its file is."""
    query = query_of(request)
    with services.database.read() as connection:
        found = kept_reports.find_job(connection, services.tenant.id, job_id.removeprefix("'").removesuffix("'"))
    if found is None:
        raise NotFoundError(f"There is no export job {job_id[:128]!r}.")
    return answer(query.shape(_resource(services, found, services.clock.now())))


@get(DOWNLOADS + "/{token:str}", opt={**PUBLIC, **answers(_FILE)}, sync_to_thread=True)
def download_report(services: Services, token: FromPath[str]) -> Response[bytes]:
    """Write the file of an export job for whoever knows its address, until that ends."""
    with services.database.read() as connection:
        job = kept_reports.find_job_by_token(connection, token)
        if job is None or job.expires_at <= services.clock.now():
            raise NotFoundError("There is no such file, or not any more.")
        reading = Reading(connection=connection, catalog=services.catalog, tenant_id=job.tenant_id)
        content = _written(reading, job)
    return Response(
        content,
        media_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="{job.id}.zip"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (create_export_job, list_export_jobs, get_export_job)
DOWNLOAD_HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (download_report,)


def _check(reading: Reading, job: ExportJob) -> None:
    """Refuse what cannot be written before there is an address for it. Raises: InvalidQueryError, NotFoundError."""
    asked = asked_in(_question(job))
    check(asked, named(job.report_name)(reading, asked).columns)


def _written(reading: Reading, job: ExportJob) -> bytes:
    asked = asked_in(_question(job))
    source = named(job.report_name)(reading, asked)
    columns = check(asked, source.columns).columns
    document = (as_csv if job.file_format == "csv" else as_json)(in_portions(source, asked), columns, job.localization)
    return zipped(f"{job.id}.{job.file_format}", document)


def _question(job: ExportJob) -> ReportRequest:
    return ReportRequest(select=job.selected, filter=job.filter, search=job.search)


def _resource(services: AdminServices, job: ExportJob, now: datetime) -> Json:
    is_there = job.expires_at > now
    return {
        "id": job.id,
        "reportName": job.report_name,
        "filter": job.filter,
        "select": list(job.selected),
        "search": job.search or None,
        "format": job.file_format,
        "localizationType": job.localization,
        "snapshotId": None,
        "status": "completed",
        "url": f"{services.settings.public_url}{DOWNLOADS}/{job.token}" if is_there else None,
        "requestDateTime": moment(job.requested_at),
        "expirationDateTime": moment(job.expires_at),
    }
