"""``shieldwall server tenant``: the organisations on a server (on its own console)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from shieldwall.cli.presentation import show_json, show_table, speaking_plainly

app: Final = typer.Typer(no_args_is_help=True, help="The organisations that this server serves.")

ACTOR: Final = "console"
"""How the audit trail names whoever works on the server's own console."""

DataOption = Annotated[Path, typer.Option("--data", help="The server's data directory.", file_okay=False)]
TenantOption = Annotated[
    str | None, typer.Option("--tenant", help="Domain or id of a tenant. Default: the one the server was made with.")
]


@app.command("add")
def add_tenant(
    data: DataOption,
    name: Annotated[str, typer.Argument(help="Name of the organisation.")],
    domain: Annotated[str, typer.Option("--domain", help="Domain name of the organisation; no two tenants share one.")],
) -> None:
    """Make a tenant with keys of its own. A server that runs knows it at once."""
    from shieldwall.server import main  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.configuration import settings  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.console.adding_tenants import AddTenant  # noqa: PLC0415 - as above
    from shieldwall.server.system import SystemClock, new_id  # noqa: PLC0415 - as above

    os.umask(0o077)
    with speaking_plainly("add the tenant"), main.open_services(settings.load(data)) as services:
        made = AddTenant(clock=SystemClock(), new_id=new_id)(services, display_name=name, domain=domain, actor=ACTOR)
        keys = services.settings.keys / made.id
    typer.echo(f"The tenant {made.display_name} is made. Its id is {made.id}.")
    typer.echo(f"Back up {keys} now and keep the copy secret: nobody can replace these keys.")
    typer.echo(f"Next: shieldwall server admin invite --data {data} --tenant {made.domain}")


@app.command("list")
def list_tenants(
    data: DataOption,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List the tenants of this server; the one it was made with stands first."""
    from shieldwall.server import main  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.configuration import settings  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.storage.tenants import tenants  # noqa: PLC0415 - as above

    with speaking_plainly("list the tenants", as_json=as_json), main.open_services(settings.load(data)) as services:
        with services.database.read() as connection:
            found = sorted(tenants.list_tenants(connection), key=lambda each: each.id != services.tenant.id)
        rows = [
            {
                "id": each.id,
                "displayName": each.display_name,
                "domain": each.domain,
                "createdDateTime": f"{each.created_at:%Y-%m-%dT%H:%M:%SZ}",
                "isHome": each.id == services.tenant.id,
            }
            for each in found
        ]
    if as_json:
        show_json(rows)
    else:
        show_table(
            ("Tenant", "Domain", "Since", "Id"),
            [(row["displayName"], row["domain"], str(row["createdDateTime"])[:10], row["id"]) for row in rows],
        )
