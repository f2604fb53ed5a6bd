"""``shieldwall server rotate-token-key``: the next key that signs tokens (on the server's own console)."""

from __future__ import annotations

from typing import Annotated

import typer

from shieldwall.cli.presentation import speaking_plainly
from shieldwall.cli.server_tenants import DataOption, TenantOption


def rotate_token_key(
    data: DataOption,
    tenant: TenantOption = None,
    *,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="The old key may have been copied: every token ends now.")
    ] = False,
) -> None:
    """Make the next key of a tenant's tokens, while the server runs. It does so by itself every ninety days."""
    from shieldwall.server import main  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.configuration import settings  # noqa: PLC0415 - slow to import, and only needed here

    with speaking_plainly("make the next key"), main.open_services(settings.load(data), tenant) as services:
        name = services.signer.rotate_token_key(at_once=at_once)
        keys = services.settings.keys / services.tenant.id / "token-keys"
    begins = "signs from now on; every token made before is worth nothing" if at_once else "signs in a day"
    typer.echo(f"The key {name} {begins}.")
    typer.echo(f"Back up {keys} and keep the copy secret.")
