"""``shieldwall package offboarding``: leave to take devices out of management, for a few days."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shieldwall.cli.device_commands import find_device
from shieldwall.cli.graph_session import connected
from shieldwall.cli.package_commands import Platform, PlatformOption
from shieldwall.cli.presentation import speaking_plainly
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode

OFFBOARDING_PACKAGES: Final = "/beta/deviceManagement/offboardingPackages"


def create_offboarding_package(
    *,
    out: Annotated[Path, typer.Option("--out", help="File to write, which must not be there yet.")],
    name: Annotated[str, typer.Option("--name", help="What the package is for.")] = "Offboarding package",
    days: Annotated[int, typer.Option("--days", min=1, max=30, help="How long it can be used.")] = 7,
    platform: PlatformOption = None,
    device: Annotated[
        list[str] | None, typer.Option("--device", help="A device it is good for; several times. Default: all.")
    ] = None,
    script: Annotated[
        Platform | None, typer.Option("--script", help="Write a script that carries the package, for this platform.")
    ] = None,
) -> None:
    """Make an offboarding package: leave to take devices out of management that are protected against tampering.

    The file holds no secret, and lets go every device named until it expires. On the device: shieldwall-agent offboard
    --package FILE.

    Example: shieldwall package offboarding --out shieldwall_offboarding.json --days 2 --device web-01
    """
    wanted = [each.value for each in platform or [script or Platform.LINUX]]
    with speaking_plainly("make the package"), connected() as session:
        devices = [find_device(session, each) for each in device or []]
        body = {"displayName": name, "validDays": days, "platforms": wanted, "deviceIds": devices}
        if out.exists():
            raise ShieldwallError(f"{out} is there already.", remedy="Name a file that is not there yet.")
        package = session.call("POST", OFFBOARDING_PACKAGES, body)["package"]
        out.write_bytes(encode(package) if script is None else _script(script, package).encode())
        out.chmod(0o644 if script is None else 0o755)
    typer.echo(f"Wrote {out}.")
    if script is None:
        typer.echo(f"On each device: shieldwall-agent offboard --package {out.name}")


def _script(platform: Platform, package: Any) -> str:
    # Takes longer to import than --help to print.
    from shieldwall.contract.strict_json import convert, decode  # noqa: PLC0415 - see above
    from shieldwall.trust import strict_base64  # noqa: PLC0415 - see above
    from shieldwall.trust.offboarding import OffboardingPackage  # noqa: PLC0415 - see above
    from shieldwall.trust.offboarding_scripts import make_offboarding_script  # noqa: PLC0415 - see above

    said = decode(strict_base64.decode(convert(package["payload"], str)), OffboardingPackage)
    return make_offboarding_script(platform.value, said, encode(package))
