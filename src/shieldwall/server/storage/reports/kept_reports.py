"""Questions that were asked to be answered later: cached reports and export jobs. Answers are never kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Row, delete, func, insert, select

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.rows import columns_of, strings_from, to_text
from shieldwall.server.storage.tables.report_schema import cached_reports, export_jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedReport:
    """A question under a name that whoever asks chose."""

    id: str
    tenant_id: TenantId
    report_name: str
    filter: str
    selected: tuple[str, ...]
    order_by: tuple[str, ...]
    about: str
    refreshed_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJob:
    """A file to be fetched until it expires by whoever knows the token, which opens nothing else."""

    id: str
    tenant_id: TenantId
    report_name: str
    filter: str
    selected: tuple[str, ...]
    search: str
    file_format: str
    localization: str
    token: str = field(repr=False)
    requested_at: datetime
    expires_at: datetime


def put_cached(connection: Connection, report: CachedReport) -> None:
    """Keep a question; one of the same name is replaced."""
    remove_cached(connection, report.tenant_id, report.id)
    texts = {"selected": to_text(report.selected), "order_by": to_text(report.order_by)}
    connection.execute(insert(cached_reports).values(columns_of(report, **texts)))


def find_cached(connection: Connection, tenant_id: TenantId, report_id: str) -> CachedReport | None:
    """Return a question of this tenant, or ``None``."""
    query = select(cached_reports).where(cached_reports.c.tenant_id == tenant_id, cached_reports.c.id == report_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _cached(row)


def list_cached(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[CachedReport, ...]:
    """Return one page of a tenant's questions, ordered by name."""
    query = select(cached_reports).where(cached_reports.c.tenant_id == tenant_id)
    return tuple(map(_cached, paging.rows(connection, query, page, cached_reports.c.id)))


def count_cached(connection: Connection, tenant_id: TenantId) -> int:
    """Return how many questions a tenant keeps."""
    query = select(func.count()).select_from(cached_reports).where(cached_reports.c.tenant_id == tenant_id)
    return connection.scalars(query).one()


def remove_cached(connection: Connection, tenant_id: TenantId, report_id: str) -> bool:
    """Forget a question; say whether there was one."""
    mine = (cached_reports.c.tenant_id == tenant_id, cached_reports.c.id == report_id)
    return connection.execute(delete(cached_reports).where(*mine)).rowcount > 0


def add_job(connection: Connection, job: ExportJob) -> None:
    """Keep a job."""
    connection.execute(insert(export_jobs).values(columns_of(job, selected=to_text(job.selected))))


def count_jobs(connection: Connection, tenant_id: TenantId) -> int:
    """Return how many jobs a tenant keeps."""
    query = select(func.count()).select_from(export_jobs).where(export_jobs.c.tenant_id == tenant_id)
    return connection.scalars(query).one()


def find_job(connection: Connection, tenant_id: TenantId, job_id: str) -> ExportJob | None:
    """Return a job of this tenant, or ``None``."""
    query = select(export_jobs).where(export_jobs.c.tenant_id == tenant_id, export_jobs.c.id == job_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _job(row)


def find_job_by_token(connection: Connection, token: str) -> ExportJob | None:
    """Return the job whose file a token opens, of whichever tenant, or ``None``."""
    row = connection.execute(select(export_jobs).where(export_jobs.c.token == token)).one_or_none()
    return None if row is None else _job(row)


def list_jobs(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[ExportJob, ...]:
    """Return one page of a tenant's jobs, ordered by id."""
    query = select(export_jobs).where(export_jobs.c.tenant_id == tenant_id)
    return tuple(map(_job, paging.rows(connection, query, page, export_jobs.c.id)))


def remove_expired(connection: Connection, tenant_id: TenantId, now: datetime) -> int:
    """Forget what has expired; return how much that was."""
    return sum(
        connection.execute(delete(table).where(table.c.tenant_id == tenant_id, table.c.expires_at <= now)).rowcount
        for table in (cached_reports, export_jobs)
    )


def _cached(row: Row[tuple[object, ...]]) -> CachedReport:
    found = row._asdict()
    return CachedReport(
        **{**found, "selected": strings_from(found["selected"]), "order_by": strings_from(found["order_by"])}
    )


def _job(row: Row[tuple[object, ...]]) -> ExportJob:
    found = row._asdict()
    return ExportJob(**{**found, "selected": strings_from(found["selected"])})
