"""``shieldwall machine-action``: orders to machines, as Defender for Endpoint's own API has them."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import quote

import typer

from shieldwall.cli.completion import complete_device
from shieldwall.cli.graph_session import connected
from shieldwall.cli.listing import EveryOption, ODataOption, TopOption, first_of, text_of
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.options import JsonOption
from shieldwall.cli.presentation import member_in_words, printable, show_facts, show_json, show_table, speaking_plainly

app: Final = typer.Typer(no_args_is_help=True, help="Orders to machines: list, show, cancel.")

MACHINE_ACTIONS: Final = "/api/machineactions"
ActionArgument = Annotated[str, typer.Argument(help="Id of the order, as 'machine-action list' shows it.")]


@app.command("list")
def list_actions(
    *,
    status: Annotated[
        str | None, typer.Option("--status", help="Pending, InProgress, Succeeded, Failed or Cancelled.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Name of the device.", autocompletion=complete_device)
    ] = None,
    odata: ODataOption = None,
    top: TopOption = 100,
    every: EveryOption = False,
    as_json: JsonOption = False,
) -> None:
    """List orders to machines, newest first, with how far each is.

    Example: shieldwall machine-action list --status Pending
    """
    conditions = [
        *([f"status eq {text_of(status)}"] if status is not None else []),
        *([f"computerDnsName eq {text_of(device)}"] if device is not None else []),
        *([f"({odata})"] if odata else []),
    ]
    query = {"$orderby": "creationDateTimeUtc desc"} | ({"$filter": " and ".join(conditions)} if conditions else {})
    with speaking_plainly("list the orders", as_json=as_json), connected() as session:
        found = first_of(session, MACHINE_ACTIONS, query, None if every else top)
    if as_json:
        show_json(found)
        return
    now = present()
    rows = [
        (
            each["computerDnsName"],
            each["type"],
            each["status"],
            each["requestor"],
            each["requestorComment"],
            moment_in_words(each["creationDateTimeUtc"], now),
            each["id"],
        )
        for each in found
    ]
    columns = ("Device", "Order", "Status", "By", "Comment", "Ordered", "Id")
    show_table(columns, rows, empty="No machine was told to do anything.")


@app.command("show")
def show_action(action: ActionArgument, *, as_json: JsonOption = False) -> None:
    """Show one order, with how far it is.

    Example: shieldwall machine-action show 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f
    """
    with speaking_plainly("show the order", as_json=as_json), connected() as session:
        found = session.call("GET", f"{MACHINE_ACTIONS}/{quote(action, safe='')}")
    if as_json:
        show_json(found)
        return
    told = [(name, value) for name, value in found.items() if value not in (None, [], 0) and not name.startswith("@")]
    show_facts((name, member_in_words(name, value)) for name, value in told)


@app.command("cancel")
def cancel_action(
    action: ActionArgument,
    *,
    comment: Annotated[str, typer.Option("--comment", help="Why; it is kept with the order.")],
    as_json: JsonOption = False,
) -> None:
    """Take an order back that the machine has not heard of.

    Example: shieldwall machine-action cancel 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f --comment "Not this one"
    """
    with speaking_plainly("take the order back", as_json=as_json), connected() as session:
        path = f"{MACHINE_ACTIONS}/{quote(action, safe='')}/cancel"
        changed = session.call("POST", path, {"Comment": comment})
    if as_json:
        show_json(changed)
    else:
        typer.echo(f"{printable(changed['computerDnsName'])}: {changed['type']} is {changed['status']}.")
