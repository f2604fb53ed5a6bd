"""``shieldwall package``: onboarding packages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from shieldwall.cli.graph_session import connected
from shieldwall.cli.options import JsonOption
from shieldwall.cli.presentation import show_json, show_table, speaking_plainly
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode

app: Final = typer.Typer(no_args_is_help=True, help="Onboarding packages: create, list, revoke.")

PACKAGES: Final = "/beta/deviceManagement/onboardingPackages"


@app.command("create")
def create_package(
    *,
    out: Annotated[Path, typer.Option("--out", help="File to write; only you may read it.")],
    name: Annotated[str, typer.Option("--name", help="What the package is for.")] = "Onboarding package",
    days: Annotated[int, typer.Option("--days", min=1, max=90, help="How long it can be used.")] = 30,
    uses: Annotated[int, typer.Option("--uses", min=1, help="How many devices it can onboard.")] = 500,
) -> None:
    """Make an onboarding package and write it to a file.

    The file holds a secret: whoever has it can onboard devices until it expires or is revoked.

    Example: shieldwall package create --out shieldwall_onboarding.json --days 7 --uses 20
    """
    with speaking_plainly("make the package"), connected() as session:
        file = _new_private_file(out)
        try:
            made = session.call("POST", PACKAGES, {"displayName": name, "validDays": days, "maxUses": uses})
            with os.fdopen(file, "wb") as stream:
                stream.write(encode(made["package"]))
        except BaseException:
            out.unlink()
            raise
    typer.echo(f"Wrote {out}. On each device: shieldwall-agent onboard {out.name}")


def _new_private_file(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ShieldwallError(
            f"{path} cannot be made: {error.strerror}.", remedy="Name a file that is not there yet."
        ) from None


@app.command("list")
def list_packages(*, as_json: JsonOption = False) -> None:
    """List onboarding packages: when they expire, how often they were used.

    Example: shieldwall package list
    """
    with speaking_plainly("list the packages", as_json=as_json), connected() as session:
        found = list(session.pages(PACKAGES))
    if as_json:
        show_json(found)
        return
    rows = [
        (
            each["displayName"],
            each["expirationDateTime"],
            f"{each['uses']} of {each['maxUses']}",
            "revoked" if each["revokedDateTime"] else "",
            each["id"],
        )
        for each in found
    ]
    show_table(("Name", "Expires", "Used", "", "Id"), rows)


@app.command("revoke")
def revoke_package(package: Annotated[str, typer.Argument(help="Id of the package.")]) -> None:
    """Make a package useless from now on; devices that used it stay.

    Example: shieldwall package revoke 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f
    """
    with speaking_plainly("revoke the package"), connected() as session:
        session.call("POST", f"{PACKAGES}/{package}/revoke")
    typer.echo("Revoked. Nobody onboards with it any more.")
