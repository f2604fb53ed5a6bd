"""``shieldwall server host``: further machines that take part in a server (on the console of the one with the keys)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Final

import typer

from shieldwall.cli.presentation import show_json, show_table, speaking_plainly
from shieldwall.cli.server_tenants import DataOption
from shieldwall.server.configuration.roles import Role

app: Final = typer.Typer(no_args_is_help=True, help="Further machines of this server; the keys stay on this one.")


@app.command("add")
def add_host(
    data: DataOption,
    name: Annotated[str, typer.Argument(help="What the machine is called here.")],
    role: Annotated[Role, typer.Option(help="gateway or admin: what it may ask the signer.")],
    signer: Annotated[str, typer.Option(help="Where the machine reaches the signer of this one, as HOST:PORT.")],
    out: Annotated[Path, typer.Option(help="Empty directory for its data directory.", file_okay=False)],
) -> None:
    """Write the data directory of one more machine."""
    from shieldwall.server.configuration import settings  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.configuration.settings_file import SignerPlace  # noqa: PLC0415 - as above
    from shieldwall.server.console import hosts  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.system import SystemClock  # noqa: PLC0415 - as above

    os.umask(0o077)
    with speaking_plainly("add a machine"):
        host, _, port = signer.rpartition(":")
        if not host or not port.isdecimal():
            raise typer.BadParameter("Name host and port of the signer.", param_hint="--signer")
        place = SignerPlace(host=host, port=int(port))
        hosts.add_host(settings.load(data), name, role, signer=place, out=out, now=SystemClock().now())
    typer.echo(f"Bring {out} to the machine on a way that you trust, and delete it here.")
    typer.echo(f"Next, there: shieldwall server run --data DIR --role {role}")


@app.command("remove")
def remove_host(
    data: DataOption, name: Annotated[str, typer.Argument(help="What the machine is called here.")]
) -> None:
    """Let a machine ask the signer nothing more, from its next question on."""
    from shieldwall.server.configuration import settings  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.console import hosts  # noqa: PLC0415 - slow to import, and only needed here

    with speaking_plainly("remove a machine"):
        hosts.remove_host(settings.load(data), name)
    typer.echo(f"{name} is heard no more. Change the password of the database, which the machine knows.")


@app.command("list")
def list_hosts(
    data: DataOption, *, as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False
) -> None:
    """Show the machines that may ask the signer."""
    from shieldwall.server.configuration import settings  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.console import hosts  # noqa: PLC0415 - slow to import, and only needed here

    with speaking_plainly("list the machines"):
        found = hosts.list_hosts(settings.load(data))
    rows = [{"name": name, "role": role.value} for name, role in found.items()]
    if as_json:
        show_json(rows)
    else:
        show_table(("Name", "Role"), [(row["name"], row["role"]) for row in rows])
