"""``shieldwall server push``: a message broker that wakes devices (on the server's own console)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from shieldwall.cli.presentation import speaking_plainly
from shieldwall.cli.server_tenants import DataOption

app: Final = typer.Typer(no_args_is_help=True, help="Wake devices by a message broker (NATS).")


@app.callback()
def _group() -> None:
    """Wake devices by a message broker (NATS), for fleets that are more than a gateway has lines for."""


@app.command()
def init(
    data: DataOption,
    url: Annotated[str, typer.Option(help="Where devices and the server reach the broker: tls://HOST:PORT.")],
    out: Annotated[Path, typer.Option(help="Directory for the broker's configuration and certificate.")],
    per_second: Annotated[int, typer.Option(help="How many devices are woken a second at most.")] = 100,
) -> None:
    """Make keys, a certificate and the configuration of a broker, and note it in server.json.

    Example: shieldwall server push init --data /var/lib/shieldwall --url tls://nats.contoso.example:4222 --out nats
    """
    from shieldwall.server.configuration import settings  # noqa: PLC0415 - slow to import, and only needed here
    from shieldwall.server.push.setting_up import SetUpPush, broker_at  # noqa: PLC0415 - as above
    from shieldwall.server.system import SystemClock  # noqa: PLC0415 - as above

    with speaking_plainly("set up the broker"):
        set_up = SetUpPush(clock=SystemClock())
        configuration = set_up(settings.load(data), broker_at(url, per_second), out)
    typer.echo(f"Start the broker: nats-server --config {configuration}")
    typer.echo(f"Then restart the server. Devices take a line within a day; {data / 'push'} belongs into the backup.")
