"""``shieldwall package``: onboarding packages."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import quote

import typer

from shieldwall.cli.graph_session import connected
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.options import JsonOption
from shieldwall.cli.presentation import member_in_words, show_facts, show_json, show_table, speaking_plainly
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode

app: Final = typer.Typer(
    no_args_is_help=True,
    help="Onboarding packages: create, list, revoke; who came with one; scripts.",
)

PACKAGES: Final = "/beta/deviceManagement/onboardingPackages"

Approval: TypeAlias = Literal["auto", "manual"]
Attestation: TypeAlias = Literal["none", "optional", "tpm-required"]
Join: TypeAlias = Literal["synthetic", "full"]
Kind: TypeAlias = Literal["linux", "macos", "windows", "ansible", "cloud-init"]


class Platform(StrEnum):
    """What a package lets in."""

    LINUX = "linux"
    WINDOWS = "windows"
    MACOS = "macos"


PackageArgument = Annotated[str, typer.Argument(help="Id of the package.")]
PlatformOption = Annotated[
    list[Platform] | None, typer.Option("--platform", help="A platform it lets in; several times. Default: linux.")
]


@app.command("create")
def create_package(
    *,
    out: Annotated[Path, typer.Option("--out", help="File to write; only you may read it.")],
    name: Annotated[str, typer.Option("--name", help="What the package is for.")] = "Onboarding package",
    days: Annotated[int, typer.Option("--days", min=1, max=90, help="How long it can be used.")] = 30,
    uses: Annotated[int, typer.Option("--uses", min=1, help="How many devices it can onboard.")] = 500,
    platform: PlatformOption = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag for its devices; several times.")] = None,
    approval: Annotated[Approval, typer.Option("--approval", help="Whether somebody has to let devices in.")] = "auto",
    attestation: Annotated[
        Attestation, typer.Option("--attestation", help="Whether devices have to prove a TPM.")
    ] = "optional",
    join: Annotated[Join, typer.Option("--join", help="Whether it also makes full registrations.")] = "synthetic",
) -> None:
    """Make an onboarding package and write it to a file.

    The file holds a secret: whoever has it can onboard devices until it expires or is revoked.

    Example: shieldwall package create --out shieldwall_onboarding.json --days 7 --uses 20 --approval manual
    """
    body = {
        "displayName": name,
        "validDays": days,
        "maxUses": uses,
        "allowedPlatforms": [each.value for each in platform or [Platform.LINUX]],
        "tags": tag or [],
        "approval": approval,
        "attestation": attestation,
        "joinType": join,
    }
    with speaking_plainly("make the package"), connected() as session:
        file = _new_private_file(out)
        try:
            made = session.call("POST", PACKAGES, body)
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
    now = present()
    rows = [
        (
            each["displayName"],
            moment_in_words(each["expirationDateTime"], now),
            f"{each['uses']} of {each['maxUses']}",
            ", ".join(each["allowedPlatforms"]),
            "revoked" if each["revokedDateTime"] else each["approval"],
            each["id"],
        )
        for each in found
    ]
    show_table(("Name", "Expires", "Used", "Platforms", "Approval", "Id"), rows)


@app.command("show")
def show_package(package: PackageArgument, *, as_json: JsonOption = False) -> None:
    """Show one package: what it allows, who made it, how often it was used.

    Example: shieldwall package show 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f
    """
    with speaking_plainly("show the package", as_json=as_json), connected() as session:
        found = session.call("GET", f"{PACKAGES}/{quote(package, safe='')}")
    if as_json:
        show_json(found)
        return
    show_facts([(name, member_in_words(name, value)) for name, value in found.items() if not name.startswith("@")])


@app.command("devices")
def list_package_devices(package: PackageArgument, *, as_json: JsonOption = False) -> None:
    """List the devices that came with a package.

    Example: shieldwall package devices 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f
    """
    with speaking_plainly("list the devices of the package", as_json=as_json), connected() as session:
        found = list(session.pages(f"{PACKAGES}/{quote(package, safe='')}/devices"))
    if as_json:
        show_json(found)
        return
    now = present()
    rows = [
        (
            each["deviceName"],
            each["shieldwall"]["deviceState"],
            moment_in_words(each["enrolledDateTime"], now),
            each["id"],
        )
        for each in found
    ]
    show_table(("Device", "State", "Onboarded", "Id"), rows)


@app.command("script")
def make_package_script(
    package: Annotated[Path, typer.Argument(help="The package file.", exists=True, dir_okay=False)],
    *,
    kind: Annotated[Kind, typer.Option("--kind", help="What kind of file.")],
    out: Annotated[Path, typer.Option("--out", help="File to write; only you may read it.")],
) -> None:
    """Make a file that onboards machines: a shell script, a playbook, or user data of cloud-init.

    It is made from the package file, without the server, which does not know the package's secret any more. It holds
    the secret too.

    Example: shieldwall package script shieldwall_onboarding.json --kind linux --out onboard.sh
    """
    # Both take longer to import than --help to print.
    from shieldwall.server.system import SystemClock  # noqa: PLC0415 - see above
    from shieldwall.trust.onboarding import open_package  # noqa: PLC0415 - see above
    from shieldwall.trust.onboarding_scripts import make_script  # noqa: PLC0415 - see above

    with speaking_plainly("make the file"):
        content = package.read_bytes()
        text = make_script(kind, open_package(content, SystemClock().now()), content)
        with os.fdopen(_new_private_file(out), "wb") as stream:
            stream.write(text.encode())
    typer.echo(f"Wrote {out}. It holds the package's secret, so keep it as you keep the package.")


@app.command("revoke")
def revoke_package(package: PackageArgument) -> None:
    """Make a package useless from now on; devices that used it stay, those that still wait are turned away.

    Example: shieldwall package revoke 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f
    """
    with speaking_plainly("revoke the package"), connected() as session:
        session.call("POST", f"{PACKAGES}/{package}/revoke")
    typer.echo("Revoked. Nobody onboards with it any more.")
