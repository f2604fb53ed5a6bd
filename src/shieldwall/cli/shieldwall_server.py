"""``shieldwall server``: make a server, run it, and let the first application and the first person in.

These commands work on the data directory itself, on the console of the server; who can read it needs no login.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer

from shieldwall.cli import server_audit, server_tenants
from shieldwall.cli.presentation import printable, speaking_plainly
from shieldwall.cli.server_tenants import ACTOR, DataOption, TenantOption
from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.settings import DEFAULT_GATEWAY_URL, DEFAULT_PUBLIC_URL

app: Final = typer.Typer(no_args_is_help=True, help="Make and run a server (on its own console).")
apps: Final = typer.Typer(no_args_is_help=True, help="Applications that may ask for tokens.")
administrators: Final = typer.Typer(no_args_is_help=True, help="People who may sign in to the admin center.")
app.add_typer(apps, name="app")
app.add_typer(administrators, name="admin")
app.add_typer(server_tenants.app, name="tenant")
app.command("audit")(server_audit.show_audit)


class FileExistsAlreadyError(ShieldwallError):
    """The file to write is there already."""

    code = "fileExists"
    remedy = "Name another file, or remove this one first."


class FileNotWritableError(ShieldwallError):
    """The file cannot be made where it was named."""

    code = "fileNotWritable"
    remedy = "Name a file in a directory that is there and that you may write to."


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
    from shieldwall.server.initialise import Initialise  # noqa: PLC0415 - slow to import, and only needed here
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
def run(data: DataOption) -> None:
    """Run the server until Ctrl-C; the log goes to standard error, one JSON object a line."""
    from shieldwall.server import main, settings  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.observability import log_as_json  # noqa: PLC0415 - as above

    log_as_json("supervisor")
    with speaking_plainly("run the server"):
        found = settings.load(data)

        def say_where() -> None:
            typer.echo(f"Admin center   {found.public_url}")
            typer.echo(f"For devices    {found.gateway_url}")
            typer.echo(f"Authority      {found.tls_authority}")

        asyncio.run(main.run(found, say_where))


@apps.command("create")
def create_app(
    data: DataOption,
    name: Annotated[str, typer.Option("--name", help="What the application is called.")],
    permission: Annotated[list[str], typer.Option("--permission", help="A permission; may be given several times.")],
    out: Annotated[Path, typer.Option("--out", help="Where to write its login; must not exist.", dir_okay=False)],
    tenant: TenantOption = None,
) -> None:
    """Make an application and write its login, with the secret that is shown to nobody else."""
    from shieldwall.server import main, settings  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.directory import apps as directory_apps  # noqa: PLC0415 - as above
    from shieldwall.server.directory.app_credentials import SECRET_LIFETIME  # noqa: PLC0415 - as above
    from shieldwall.server.permissions import check_permissions  # noqa: PLC0415 - as above

    with speaking_plainly("make the application"):
        permissions = check_permissions(permission)
        with main.open_services(settings.load(data), tenant) as services, _new_private_file(out) as file:
            with services.database.write() as connection:
                made, secret = directory_apps.create_app(
                    connection, services.acting(ACTOR), display_name=name, permissions=permissions
                )
            found = services.settings
            login = {
                "tenantId": services.tenant.id,
                "clientId": made.client_id,
                "clientSecret": secret,
                "authority": f"{found.public_url}/{services.tenant.id}",
                "graph": found.public_url,
                "certificateAuthority": found.tls_authority.read_text("ascii"),
            }
            file.write(strict_json.encode(login) + b"\n")
    typer.echo(
        f"The application {name} is made; its login is in {out}. Its secret ends in {SECRET_LIFETIME.days} days."
    )
    typer.echo(f"Next: shieldwall login --app {out}")


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
    from shieldwall.server import main, settings  # noqa: PLC0415 - slow to import, and only needed here
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
    from shieldwall.server import main, settings  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.housekeeping import Housekeeping  # noqa: PLC0415 - as above

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


@contextmanager
def _new_private_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that was not there before and only its owner may read; it goes again if what follows fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise FileExistsAlreadyError(f"There is a file {path} already.") from None
    except OSError as error:
        raise FileNotWritableError(f"{path} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "wb") as file:
        try:
            yield file
        except BaseException:
            path.unlink()
            raise
