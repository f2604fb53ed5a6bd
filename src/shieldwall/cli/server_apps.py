"""``shieldwall server app``: applications that may ask for tokens (on the server's own console)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from shieldwall.cli.presentation import show_json, show_table, speaking_plainly
from shieldwall.cli.private_files import new_private_file
from shieldwall.cli.server_tenants import ACTOR, DataOption, TenantOption
from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError

if TYPE_CHECKING:
    from shieldwall.server.admin.services import AdminServices

app: Final = typer.Typer(no_args_is_help=True, help="Applications that may ask for tokens.")
_DAYS: Final = 180
_LONGEST_DAYS: Final = 730
_MOST: Final = 10_000

ClientId = Annotated[str, typer.Argument(help="The client id of the application.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Where to write its login; must not exist.", dir_okay=False)
]
DaysOption = Annotated[int, typer.Option("--days", min=1, max=_LONGEST_DAYS, help="How long the secret is good.")]
CertificateOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--certificate", help="Its certificate, PEM or DER, in the place of a secret.", exists=True, dir_okay=False
    ),
]


class OutMissingError(ShieldwallError):
    """A secret is made, and it is not said where it shall go."""

    code = "outMissing"
    remedy = "Add --out FILE; or give the application a certificate, or make it --public."


@app.command("create")
def create(
    *,
    data: DataOption,
    name: Annotated[str, typer.Option("--name", help="What the application is called.")],
    permission: Annotated[
        list[str] | None, typer.Option("--permission", help="A permission of its own; may be given several times.")
    ] = None,
    delegated: Annotated[
        list[str] | None, typer.Option("--delegated", help="A permission it may use for people who sign in to it.")
    ] = None,
    redirect_uri: Annotated[
        list[str] | None, typer.Option("--redirect-uri", help="Where people return: https://…, or http://localhost.")
    ] = None,
    certificate: CertificateOption = None,
    out: OutOption = None,
    tenant: TenantOption = None,
    public: Annotated[bool, typer.Option("--public", help="It runs where no secret can be kept.")] = False,
    require_proof: Annotated[
        bool, typer.Option("--require-proof", help="It gets no token that is not bound to a key of its own (DPoP).")
    ] = False,
) -> None:
    """Make an application and write its login, with the secret that is shown to nobody else."""
    from shieldwall.server.access.permissions import check_permissions  # noqa: PLC0415 - as above
    from shieldwall.server.directory import app_credentials, apps  # noqa: PLC0415 - slow to import, and only needed here

    has_secret = not certificate and not public
    with speaking_plainly("make the application"):
        if has_secret and out is None:
            raise OutMissingError("The application gets a secret; say where its login shall be written.")
        own, of_people = check_permissions(permission or ()), check_permissions(delegated or ())
        with _opened(data, tenant) as services, services.database.write() as connection:
            acting = services.acting(ACTOR)
            made = apps.register_app(
                connection,
                acting,
                display_name=name,
                permissions=own,
                delegated=of_people,
                redirect_uris=redirect_uri or (),
                is_public=public,
                requires_proof=require_proof,
            )
            for each in certificate or ():
                app_credentials.add_certificate(connection, acting, made, each.read_bytes())
            if has_secret and out is not None:
                _, secret = app_credentials.add_secret(connection, acting, made, display_name="First secret")
                _write_login(services, out, made.client_id, secret)
    if has_secret:
        typer.echo(f"The application {name} is made; its login is in {out}. Its secret ends in {_DAYS} days.")
        typer.echo(f"Next: shieldwall login --app {out}")
    else:
        typer.echo(f"The application {name} is made. Its client id is {made.client_id}.")


@app.command("list")
def list_(
    data: DataOption,
    tenant: TenantOption = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List the applications, with the ids of their secrets and certificates."""
    from shieldwall.server.directory import app_credentials, apps  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.storage.records import Page  # noqa: PLC0415 - as above

    with (
        speaking_plainly("list the applications", as_json=as_json),
        _opened(data, tenant) as services,
        services.database.read() as connection,
    ):
        found = apps.list_apps(connection, services.tenant.id, Page(size=_MOST))
        rows: list[dict[str, Any]] = [
            {
                "clientId": each.client_id,
                "displayName": each.display_name,
                "enabled": each.enabled,
                "isPublic": each.is_public,
                "requiresProof": each.requires_proof,
                "permissions": each.permissions,
                "delegatedPermissions": each.delegated,
                "redirectUris": each.redirect_uris,
                "credentials": [
                    {
                        "id": credential.id,
                        "kind": credential.kind.value,
                        "displayName": credential.display_name,
                        "endDateTime": f"{credential.expires_at:%Y-%m-%dT%H:%M:%SZ}",
                    }
                    for credential in app_credentials.credentials_of(connection, each)
                ],
            }
            for each in found
        ]
    if as_json:
        show_json(rows)
    else:
        shown = [
            (row["displayName"], row["clientId"], "yes" if row["enabled"] else "no", ", ".join(row["permissions"]))
            for row in rows
        ]
        show_table(("Application", "Client id", "Enabled", "Permissions"), shown, empty="There is none yet.")
        kept = [
            (row["displayName"], each["kind"], each["id"], each["endDateTime"][:10])
            for row in rows
            for each in row["credentials"]
        ]
        show_table(("Application", "Shows", "Id", "Ends"), kept, empty="None has a secret or certificate.")


@app.command("add-secret")
def add_secret(
    *,
    data: DataOption,
    client_id: ClientId,
    out: Annotated[Path, typer.Option("--out", help="Where to write its login; must not exist.", dir_okay=False)],
    name: Annotated[str, typer.Option("--name", help="What the secret is called.")] = "Secret",
    days: DaysOption = _DAYS,
    tenant: TenantOption = None,
) -> None:
    """Give an application one more secret and write a login with it; those that it has stay good."""
    from shieldwall.server.directory import app_credentials, apps  # noqa: PLC0415 - slow to import, and only needed here

    with speaking_plainly("add the secret"):
        with _opened(data, tenant) as services, services.database.write() as connection:
            found = apps.get_app(connection, services.tenant.id, client_id.lower())
            made, secret = app_credentials.add_secret(
                connection, services.acting(ACTOR), found, display_name=name, lifetime=timedelta(days=days)
            )
            _write_login(services, out, found.client_id, secret)
        typer.echo(f"The login with the new secret is in {out}. It ends in {days} days; its id is {made.id}.")


@app.command("add-certificate")
def add_certificate(
    data: DataOption,
    client_id: ClientId,
    certificate: Annotated[Path, typer.Argument(help="PEM or DER.", exists=True, dir_okay=False)],
    tenant: TenantOption = None,
) -> None:
    """Let an application show who it is by a certificate, whose key it keeps to itself."""
    from shieldwall.server.directory import app_credentials, apps  # noqa: PLC0415 - slow to import, and only needed here

    with speaking_plainly("add the certificate"):
        with _opened(data, tenant) as services, services.database.write() as connection:
            found = apps.get_app(connection, services.tenant.id, client_id.lower())
            made = app_credentials.add_certificate(connection, services.acting(ACTOR), found, certificate.read_bytes())
        typer.echo(f"The certificate is good until {made.expires_at:%Y-%m-%d}; its id is {made.id}.")


@app.command("remove-credential")
def remove_credential(
    data: DataOption,
    client_id: ClientId,
    credential_id: Annotated[str, typer.Argument(help="Id of the secret or certificate, as list shows it.")],
    tenant: TenantOption = None,
) -> None:
    """Take a secret or certificate away; tokens that the application was handed are worth nothing from now on."""
    from shieldwall.server.directory import app_credentials, apps  # noqa: PLC0415 - slow to import, and only needed here

    with speaking_plainly("remove the credential"):
        with _opened(data, tenant) as services, services.database.write() as connection:
            found = apps.get_app(connection, services.tenant.id, client_id.lower())
            app_credentials.remove_credential(connection, services.acting(ACTOR), found, credential_id.lower())
        typer.echo("It is gone, and every token of the application with it.")


@app.command("delete")
def delete(data: DataOption, client_id: ClientId, tenant: TenantOption = None) -> None:
    """Remove an application; its tokens are worth nothing from now on."""
    from shieldwall.server.directory import apps  # noqa: PLC0415 - slow to import, and only needed here

    with speaking_plainly("delete the application"):
        with _opened(data, tenant) as services, services.database.write() as connection:
            apps.delete_app(connection, services.acting(ACTOR), client_id.lower())
        typer.echo("The application is gone.")


@contextmanager
def _opened(data: Path, tenant: str | None) -> Iterator[AdminServices]:
    from shieldwall.server import main  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.configuration import settings  # noqa: PLC0415 - slow to import, and only needed here

    with main.open_services(settings.load(data), tenant) as services:
        yield services


def _write_login(services: AdminServices, out: Path, client_id: str, secret: str) -> None:
    """Write a login inside the transaction that makes its secret: where the file cannot be, there is no secret."""
    settings = services.settings
    login = {
        "tenantId": services.tenant.id,
        "clientId": client_id,
        "clientSecret": secret,
        "authority": f"{settings.public_url}/{services.tenant.id}",
        "graph": settings.public_url,
        "certificateAuthority": settings.tls_authority.read_text("ascii"),
    }
    with new_private_file(out) as file:
        file.write(strict_json.encode(login) + b"\n")
