"""``shieldwall report export``: a report as the server writes it to a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import typer

from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.listing import ODataOption, text_of
from shieldwall.cli.names import find_policy
from shieldwall.cli.options import PolicyOption
from shieldwall.cli.presentation import speaking_plainly
from shieldwall.cli.private_files import new_private_file
from shieldwall.cli.report_tables import REPORTS
from shieldwall.contract.errors import ShieldwallError

_JOBS: Final = f"{REPORTS}/exportJobs"
_EVERY_SECONDS: Final = 1.0
_UNDER_WAY: Final = frozenset({"notStarted", "inProgress"})


class ExportFailedError(ShieldwallError):
    """The server did not write the report."""

    code = "exportFailed"
    remedy = "Export it once more; if that fails too, look into the server's log."


def export_report(
    *,
    report: Annotated[str, typer.Option("--report", help="Name of the report, such as PolicyNonComplianceReport.")],
    out: Annotated[Path, typer.Option("--out", help="The zip to write; must not exist.", dir_okay=False)],
    policy: PolicyOption = None,
    odata: ODataOption = None,
    column: Annotated[list[str] | None, typer.Option("--column", help="A column it has; several times.")] = None,
    file_format: Annotated[Literal["csv", "json"], typer.Option("--format", help="csv or json, in the zip.")] = "csv",
) -> None:
    """Let the server write a report, however long, and fetch it as a zip that only you may read.

    Example: shieldwall report export --report DeviceStatusesByConfigurationProfile --policy Baseline --out report.zip
    """
    with speaking_plainly("export the report"), connected() as session:
        about = [] if policy is None else [f"PolicyId eq {text_of(find_policy(session, policy))}"]
        conditions = [*about, *([odata] if odata else [])]
        body = {
            "reportName": report,
            "filter": " and ".join(f"({each})" for each in conditions),
            "select": column or [],
            "format": file_format,
        }
        with new_private_file(out) as file:
            job = _finished(session, session.call("POST", _JOBS, body))
            session.download(job["url"], file)
            size = file.tell()
    typer.echo(f"Wrote {out} ({size:,} bytes).")


def _finished(session: GraphSession, job: dict[str, Any]) -> dict[str, Any]:
    """Wait until a report is there, and say how it goes. Raises: ExportFailedError."""
    said = ""
    while job["status"] in _UNDER_WAY:
        if job["status"] != said:
            said = job["status"]
            typer.echo(f"The report is being written ({said}) …", err=True)
        time.sleep(_EVERY_SECONDS)
        job = session.call("GET", f"{_JOBS}/{quote(job['id'], safe='')}")
    if job["status"] != "completed" or not job["url"]:
        raise ExportFailedError(f"The report is {job['status']}.")
    return job
