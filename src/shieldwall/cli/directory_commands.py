"""``shieldwall directory``: registrations that devices have elsewhere, and who may vouch for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from shieldwall.cli.graph_session import connected
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.options import JsonOption
from shieldwall.cli.presentation import printable, show_facts, show_json, show_table, speaking_plainly
from shieldwall.contract.errors import ShieldwallError

app: Final = typer.Typer(no_args_is_help=True, help="Directory: existing registrations, and who vouches for them.")

DEVICES: Final = "/v1.0/devices"
AUTHORITIES: Final = "/beta/deviceManagement/directoryAuthorities"
IdArgument = Annotated[str, typer.Argument(help="Device id.")]
NameOption = Annotated[str, typer.Option("--name", help="What to call it.")]


@app.command("list")
def list_directory(*, as_json: JsonOption = False) -> None:
    """List devices and the registrations that none of them uses yet.

    Example: shieldwall directory list
    """
    with speaking_plainly("list the directory", as_json=as_json), connected() as session:
        found = list(session.pages(DEVICES))
    if as_json:
        show_json(found)
        return
    rows = [
        (
            each["displayName"],
            each["trustType"] or "",
            each["shieldwall"]["deviceState"] or f"not used yet ({each['shieldwall']['source']})",
            "yes" if each["accountEnabled"] else "no",
            each["managementType"] or "",
            each["deviceId"],
        )
        for each in found
    ]
    show_table(("Name", "Join type", "State", "Enabled", "Managed by", "Device id"), rows)


@app.command("import")
def import_registration(
    device_id: IdArgument,
    certificate: Annotated[Path, typer.Argument(help="Its certificate there, PEM.")],
    *,
    name: NameOption,
    trust_type: Annotated[
        Literal["Workplace", "AzureAd", "ServerAd"], typer.Option("--trust-type", help="Its join type there.")
    ] = "AzureAd",
    managed_by: Annotated[
        str | None, typer.Option("--managed-by", help="The MDM it belongs to; such a device is not taken here.")
    ] = None,
) -> None:
    """Import the registration that a device has in another directory.

    Example: shieldwall directory import 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f web-01.pem --name web-01
    """
    with speaking_plainly("import the registration"), connected() as session:
        body = {
            "deviceId": device_id,
            "displayName": name,
            "trustType": trust_type,
            "managementType": managed_by,
            "certificate": _text(certificate),
        }
        made = session.call("POST", DEVICES, body)
    show_facts([("Imported", made["displayName"]), ("Device id", made["deviceId"]), ("Object id", made["id"])])


@app.command("set")
def change_registration(
    device_id: IdArgument,
    *,
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled", help="Whether it may be used.")] = None,
    managed_by: Annotated[
        str | None, typer.Option("--managed-by", help="The MDM it belongs to; an empty text for none.")
    ] = None,
) -> None:
    """Change what the directory knows of a registration.

    Example: shieldwall directory set 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f --disabled
    """
    body: dict[str, object] = {} if enabled is None else {"accountEnabled": enabled}
    if managed_by is not None:
        body |= {"isManaged": bool(managed_by), "managementType": managed_by or None}
    with speaking_plainly("change the registration"), connected() as session:
        session.call("PATCH", f"{DEVICES}(deviceId='{device_id}')", body)
    typer.echo(f"Changed {printable(device_id)}.")


@app.command("remove")
def remove_registration(
    device_id: IdArgument, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Delete a registration, and the device that uses it.

    Example: shieldwall directory remove 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f --yes
    """
    if not yes:
        typer.confirm(f"Delete {device_id}? It cannot be undone.", abort=True)
    with speaking_plainly("delete the registration"), connected() as session:
        session.call("DELETE", f"{DEVICES}(deviceId='{device_id}')")
    typer.echo(f"Deleted {printable(device_id)}.")


@app.command("authorities")
def list_authorities(*, as_json: JsonOption = False) -> None:
    """List the authorities that may vouch for registrations.

    Example: shieldwall directory authorities
    """
    with speaking_plainly("list the authorities", as_json=as_json), connected() as session:
        found = list(session.pages(AUTHORITIES))
    if as_json:
        show_json(found)
        return
    now = present()
    rows = [
        (each["displayName"], each["subject"], moment_in_words(each["expirationDateTime"], now), each["id"])
        for each in found
    ]
    show_table(("Name", "Subject", "Expires", "Id"), rows)


@app.command("trust")
def trust_authority(
    certificate: Annotated[Path, typer.Argument(help="Certificate of the authority, PEM.")], *, name: NameOption
) -> None:
    """Trust an authority: imported devices may prove who they are with certificates that it issued.

    Example: shieldwall directory trust contoso-devices.pem --name Contoso
    """
    with speaking_plainly("trust the authority"), connected() as session:
        made = session.call("POST", AUTHORITIES, {"displayName": name, "certificate": _text(certificate)})
    expires = moment_in_words(made["expirationDateTime"], present())
    show_facts([("Trusted", made["subject"]), ("Expires", expires), ("Id", made["id"])])


@app.command("distrust")
def distrust_authority(authority: Annotated[str, typer.Argument(help="Id of the authority.")]) -> None:
    """Trust an authority no more; devices that came by it stay.

    Example: shieldwall directory distrust 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f
    """
    with speaking_plainly("remove the authority"), connected() as session:
        session.call("DELETE", f"{AUTHORITIES}/{authority}")
    typer.echo("Removed.")


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ShieldwallError(
            f"{path} cannot be read: {error}.", remedy="Name a file that holds one certificate in PEM."
        ) from None
