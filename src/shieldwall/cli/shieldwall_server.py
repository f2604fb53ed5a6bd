"""``shieldwall server``: make a server, run it, and let the first application and the first person in.

These commands work on the data directory itself, on the console of the server; who can read it needs no login.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from dataclasses import replace
from typing import Annotated, Final

import typer

from shieldwall.cli import (
    server_apps,
    server_audit,
    server_backup,
    server_hosts,
    server_push,
    server_tenants,
    server_tls,
    server_token_keys,
)
from shieldwall.cli.presentation import printable, speaking_plainly
from shieldwall.cli.server_tenants import ACTOR, DataOption, TenantOption
from shieldwall.server.configuration.roles import DEFAULT, Role
from shieldwall.server.configuration.settings_file import DEFAULT_GATEWAY_URL, DEFAULT_PUBLIC_URL

app: Final = typer.Typer(no_args_is_help=True, help="Make and run a server (on its own console).")
administrators: Final = typer.Typer(no_args_is_help=True, help="People who may sign in to the admin center.")
app.add_typer(server_apps.app, name="app")
app.command("rotate-token-key")(server_token_keys.rotate_token_key)
app.add_typer(administrators, name="admin")
app.add_typer(server_tenants.app, name="tenant")
app.add_typer(server_hosts.app, name="host")
app.add_typer(server_push.app, name="push")
app.add_typer(server_tls.app, name="tls")
app.command("audit")(server_audit.show_audit)
app.command("backup")(server_backup.backup)
app.command("restore")(server_backup.restore)


@app.command()
def init(
    *,
    data: DataOption,
    database: Annotated[
        str | None, typer.Option(help="URL of a PostgreSQL database. Default: SQLite in the data directory.")
    ] = None,
    public_url: Annotated[str, typer.Option(help="Where administrators reach the server.")] = DEFAULT_PUBLIC_URL,
    public_alias: Annotated[
        list[str] | None,
        typer.Option(help="Another address under which tools of administrators reach it; may be given several times."),
    ] = None,
    gateway_url: Annotated[str, typer.Option(help="Where devices reach the server.")] = DEFAULT_GATEWAY_URL,
    listen: Annotated[str, typer.Option(help="Address of this machine to listen on.")] = "127.0.0.1",
    organisation: Annotated[str, typer.Option(help="Name of your organisation.")] = "My organisation",
    domain: Annotated[str, typer.Option(help="Domain name of your organisation.")] = "shieldwall.localhost",
) -> None:
    """Make a server: keys, certificate, database, settings."""
    from shieldwall.server.console.initialise import Initialise  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.system import SystemClock, new_id  # noqa: PLC0415 - as above

    os.umask(0o077)
    make = Initialise(clock=SystemClock(), new_id=new_id, randomness=secrets.token_bytes, tell=_tell_step)
    with speaking_plainly("make the server"):
        settings = make(
            data,
            database=database,
            public_url=public_url,
            public_aliases=tuple(public_alias or ()),
            gateway_url=gateway_url,
            listen=listen,
            tenant_name=organisation,
            domain=domain,
        )
    typer.echo(f"\nThe server is made, in {data}. Its tenant is {settings.tenant_id}.")
    typer.echo(f"Back up {settings.keys} now and keep the copy secret: nobody can replace these keys.")
    typer.echo(f"Next: shieldwall server run --data {data}")


@app.command()
def run(
    data: DataOption,
    *,
    role: Annotated[
        list[Role] | None,
        typer.Option(help="Run this part of the server alone; may be given several times. Default: a whole server."),
    ] = None,
    gateway_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Port of this gateway, where a machine runs several."),
    ] = None,
) -> None:
    """Run the server until Ctrl-C; the log goes to standard error, one JSON object a line."""
    from shieldwall.server.configuration import settings  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.observing.observability import log_as_json  # noqa: PLC0415 - as above
    from shieldwall.server.processes import running  # noqa: PLC0415 - slow to import, and only needed here

    log_as_json("supervisor")
    with speaking_plainly("run the server"):
        found = settings.load(data)
        if gateway_port is not None:
            found = replace(found, gateway_port=gateway_port)
        roles = frozenset(role or DEFAULT)

        def say_where() -> None:
            if Role.ADMIN in roles:
                typer.echo(f"Admin center   {found.public_url}")
            if Role.GATEWAY in roles:
                typer.echo(f"For devices    {found.gateway_url}")
            typer.echo(f"Authority      {found.tls_authority}")

        asyncio.run(running.run(found, say_where, roles))


@administrators.command("invite")
def invite(
    data: DataOption,
    name: Annotated[str, typer.Option("--name", help="Who is invited, for the audit trail.")] = "Administrator",
    tenant: TenantOption = None,
    *,
    all_tenants: Annotated[
        bool, typer.Option("--all-tenants", help="Also let the person see the figures of all tenants of this server.")
    ] = False,
) -> None:
    """Print a link that lets one person sign in once, within fifteen minutes."""
    from shieldwall.server import main  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.configuration import settings  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.directory import administrators as directory_administrators  # noqa: PLC0415 - as above

    with speaking_plainly("invite an administrator"):
        with main.open_services(settings.load(data), tenant) as services, services.database.write() as connection:
            if all_tenants and not services.serves_home:
                raise directory_administrators.InvalidAdministratorError(
                    "Only people of the tenant that the server was made with may see all tenants.",
                    remedy="Invite the person without --tenant.",
                )
            code = directory_administrators.invite(
                connection, services.acting(ACTOR), display_name=name, sees_tenants=all_tenants
            )
        typer.echo(f"{services.settings.public_url}/sign-in?code={code}")


@app.command("clean-up")
def clean_up(
    data: DataOption,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be cleaned up; change nothing.")] = False,
) -> None:
    """Clean up now, as the running server does every hour: by the rules of each tenant."""
    from shieldwall.server import main  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.configuration import settings  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.periodic.housekeeping import Housekeeping  # noqa: PLC0415 - as above

    with speaking_plainly("clean up"), main.open_services(settings.load(data)) as services:
        housekeeping = Housekeeping(services=services)
        for tenant, done in housekeeping.looked() if dry_run else housekeeping.cleaned():
            counts = {
                "devices replaced": done.replaced,
                "devices retired": done.retired,
                "devices removed": done.removed,
                **{f"rows of {table} removed": count for table, count in done.rows.items()},
            }
            told = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing to do"
            typer.echo(f"{printable(tenant.display_name)}: {told}{' (dry run)' if dry_run else ''}")


def _tell_step(step: str) -> None:
    typer.echo(f"{step} …")
