"""``shieldwall tenant``: all tenants of a server, for those who run it for several organisations."""

from __future__ import annotations

from typing import Any, Final

import typer

from shieldwall.cli.graph_session import connected
from shieldwall.cli.options import JsonOption
from shieldwall.cli.presentation import show_json, show_table, speaking_plainly

app: Final = typer.Typer(no_args_is_help=True, help="All tenants of the server: how they stand.")

TENANTS: Final = "/beta/tenantRelationships/managedTenants/tenants"


@app.command("list")
def list_tenants(*, as_json: JsonOption = False) -> None:
    """List all tenants of the server with their devices and open alerts.

    The application needs ManagedTenants.Read.All and has to be one of the tenant that the server was made with.

    Example: shieldwall tenant list
    """
    with speaking_plainly("list the tenants", as_json=as_json), connected() as session:
        found = list(session.pages(TENANTS))
    if as_json:
        show_json(found)
    else:
        show_table(
            ("Tenant", "Domain", "Devices", "Active", "Inactive", "Impaired", "Waiting", "Open alerts", "Id"),
            map(_row, found),
        )


def _row(tenant: dict[str, Any]) -> tuple[object, ...]:
    devices = tenant["devices"]
    health = devices["health"]
    return (
        tenant["displayName"],
        tenant["contract"]["defaultDomainName"],
        devices["count"],
        health["active"],
        health["inactive"],
        health["impaired"],
        devices["states"]["pending"],
        sum(tenant["openAlerts"].values()),
        tenant["id"],
    )
