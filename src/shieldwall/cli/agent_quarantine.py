"""``shieldwall-agent quarantine``: what lies in quarantine on this device; give it back or destroy it. For root."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.service.exit_codes import exit_code
from shieldwall.cli.agent_app import JsonOption, RootOption, StateOption, app, places_of
from shieldwall.cli.presentation import printable, show_json, show_table, speaking_plainly

if TYPE_CHECKING:
    from shieldwall.agent.scanning.quarantine import Quarantine

quarantine = typer.Typer(
    name="quarantine",
    help="Show, give back and destroy what scans moved to quarantine. For root.",
    no_args_is_help=True,
)
app.add_typer(quarantine)

ItemArgument = Annotated[str, typer.Argument(metavar="ID", help="As the list shows it.")]


@quarantine.command("list")
def show_items(
    context: typer.Context, as_json: JsonOption = False, root: RootOption = None, state: StateOption = None
) -> None:
    """Show what lies in quarantine, the oldest first."""
    with speaking_plainly("read the quarantine", as_json=as_json, exit_code=exit_code):
        items = _quarantine(_host(context, root, state)).items()
    if as_json:
        show_json({"items": items})
        return
    show_table(
        ("Id", "Taken", "Threat", "Path", "Bytes", "SHA-256"),
        [
            (item.id, item.taken_at, printable(item.threat), printable(item.shown_path), str(item.size), item.sha256)
            for item in items
        ],
        empty="Nothing lies in quarantine.",
    )


@quarantine.command()
def restore(
    context: typer.Context,
    item: ItemArgument,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Another place than where it was.", show_default=False)
    ] = None,
    root: RootOption = None,
    state: StateOption = None,
) -> None:
    """Give a file back to where it was, unless a policy forbids it. Nothing that stands there is replaced."""
    from shieldwall.agent.scanning import policy  # noqa: PLC0415 - for this command alone
    from shieldwall.agent.scanning.quarantine import check_allowed  # noqa: PLC0415 - likewise

    with speaking_plainly("give the file back", exit_code=exit_code):
        host = _host(context, root, state)
        wanted = policy.of_values(policy.decode(host.read_file(policy.FILE)))
        check_allowed("restore", wanted.disallowed_actions)
        place = _quarantine(host).restore(item, to)
    typer.echo(f"It is back: {printable(place)}")
    typer.echo("The next scan finds it again, unless its hash or its threat is allowed by a policy.")


@quarantine.command()
def delete(context: typer.Context, item: ItemArgument, root: RootOption = None, state: StateOption = None) -> None:
    """Destroy a file in quarantine."""
    with speaking_plainly("destroy the file", exit_code=exit_code):
        gone = _quarantine(_host(context, root, state)).delete(item)
    typer.echo(f"Destroyed: {gone.id}, which was {printable(gone.shown_path)}")


def _host(context: typer.Context, root: Path | None, state: Path | None) -> LocalHost:
    return LocalHost(places_of(context, root, state)[0])


def _quarantine(host: LocalHost) -> Quarantine:
    from shieldwall.agent.main import SystemClock  # noqa: PLC0415 - the whole agent, which no other command here needs
    from shieldwall.agent.scanning.quarantine import DIRECTORY, Quarantine  # noqa: PLC0415 - for these commands alone

    return Quarantine(directory=host.locate(DIRECTORY), clock=SystemClock())
