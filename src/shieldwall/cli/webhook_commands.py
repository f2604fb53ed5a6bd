"""``shieldwall webhook``: who is told what happens."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from shieldwall.cli.completion import complete_webhook
from shieldwall.cli.graph_session import connected
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.names import WEBHOOKS, find_webhook
from shieldwall.cli.options import JsonOption, YesOption
from shieldwall.cli.presentation import member_in_words, printable, show_facts, show_json, show_table, speaking_plainly
from shieldwall.contract.errors import ShieldwallError

app: Final = typer.Typer(
    no_args_is_help=True,
    help="Webhooks: list, show, create, change, delete; test, redeliver, rotate-secret.",
)

WebhookArgument = Annotated[
    str, typer.Argument(help="Id or exact name of the webhook.", autocompletion=complete_webhook)
]
EventOption = Annotated[
    list[str] | None,
    typer.Option("--event", help="What it is told: '*', 'policy.*', 'alert.raised'; may be given several times."),
]
UrlOption = Annotated[str | None, typer.Option("--url", help="Where it listens: an https address.")]


@app.command("list")
def list_webhooks(*, as_json: JsonOption = False) -> None:
    """List webhooks and how each is doing.

    Example: shieldwall webhook list
    """
    with speaking_plainly("list the webhooks", as_json=as_json), connected() as session:
        found = list(session.pages(WEBHOOKS))
    if as_json:
        show_json(found)
        return
    rows = [
        (each["displayName"], each["url"], ", ".join(each["eventTypes"]), standing_in_words(each), each["id"])
        for each in found
    ]
    show_table(("Name", "Address", "Told", "Standing", "Id"), rows, empty="Nobody is told what happens.")


@app.command("show")
def show_webhook(webhook: WebhookArgument, *, as_json: JsonOption = False) -> None:
    """Show one webhook, and what it was sent lately.

    Example: shieldwall webhook show Tickets
    """
    with speaking_plainly("show the webhook", as_json=as_json), connected() as session:
        path = f"{WEBHOOKS}/{find_webhook(session, webhook)}"
        found = session.call("GET", path)
        deliveries = list(session.pages(f"{path}/deliveries"))
    if as_json:
        show_json(found | {"deliveries": deliveries})
        return
    show_facts([(name, member_in_words(name, value)) for name, value in found.items() if not name.startswith("@")])
    typer.echo()
    now = present()
    rows = [
        (
            moment_in_words(each["lastAttemptDateTime"], now),
            each["eventType"],
            each["state"],
            each["attempts"],
            each["cause"] or each["status"],
            each["id"],
        )
        for each in deliveries
    ]
    show_table(
        ("Last attempt", "Event", "State", "Attempts", "Answer", "Event id"), rows, empty="Nothing was sent yet."
    )


@app.command("create")
def create_webhook(
    name: Annotated[str, typer.Argument(help="What it is called.")],
    *,
    url: Annotated[str, typer.Option("--url", help="Where it listens: an https address.")],
    event: EventOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a webhook and print its secret, which verifies deliveries and is shown this once.

    Example: shieldwall webhook create Tickets --url https://tickets.example/hook --event 'policy.*'
    """
    body = {"displayName": name, "url": url, "eventTypes": event or ["*"]}
    with speaking_plainly("make the webhook", as_json=as_json), connected() as session:
        made = session.call("POST", WEBHOOKS, body)
    _show_secret(made, as_json=as_json)


@app.command("change")
def change_webhook(
    webhook: WebhookArgument,
    *,
    name: Annotated[str | None, typer.Option("--name", help="What it is called now.")] = None,
    url: UrlOption = None,
    event: EventOption = None,
    enabled: Annotated[
        bool | None, typer.Option("--on/--off", help="Tell it what happens, or nothing for now.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Change a webhook. Switched on again, it is told what happened meanwhile, as far as that is kept.

    Example: shieldwall webhook change Tickets --event '*' --on
    """
    asked = {"displayName": name, "url": url, "eventTypes": event, "enabled": enabled}
    body = {member: value for member, value in asked.items() if value is not None}
    with speaking_plainly("change the webhook", as_json=as_json), connected() as session:
        if not body:
            raise ShieldwallError("Nothing would change.", remedy="Give --name, --url, --event, --on or --off.")
        changed = session.call("PATCH", f"{WEBHOOKS}/{find_webhook(session, webhook)}", body)
    if as_json:
        show_json(changed)
    else:
        typer.echo(f"{printable(changed['displayName'])}: {standing_in_words(changed)}.")


@app.command("delete")
def delete_webhook(webhook: WebhookArgument, *, yes: YesOption = False) -> None:
    """Delete a webhook and its history. What it did not have it never gets.

    Example: shieldwall webhook delete Tickets --yes
    """
    with speaking_plainly("delete the webhook"), connected() as session:
        found = find_webhook(session, webhook)
        if not yes:
            typer.confirm(f"Delete the webhook {printable(webhook)}?", abort=True)
        session.call("DELETE", f"{WEBHOOKS}/{found}")
    typer.echo("Deleted.")


@app.command("test")
def ping_webhook(webhook: WebhookArgument, *, as_json: JsonOption = False) -> None:
    """Send a webhook.ping now, and say what came of it.

    Example: shieldwall webhook test Tickets
    """
    with speaking_plainly("reach the webhook", as_json=as_json), connected() as session:
        came = session.call("POST", f"{WEBHOOKS}/{find_webhook(session, webhook)}/ping")
    _show_attempt(came, as_json=as_json)


@app.command("redeliver")
def redeliver(
    webhook: WebhookArgument,
    event: Annotated[str, typer.Argument(help="Id of the event, as 'webhook show' lists it.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Send an event that is still kept once more, now.

    Example: shieldwall webhook redeliver Tickets 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f
    """
    with speaking_plainly("send the event again", as_json=as_json), connected() as session:
        path = f"{WEBHOOKS}/{quote(find_webhook(session, webhook), safe='')}/redeliver"
        came = session.call("POST", path, {"eventId": event})
    _show_attempt(came, as_json=as_json)


@app.command("rotate-secret")
def rotate_secret(
    webhook: WebhookArgument,
    *,
    overlap: Annotated[
        int,
        typer.Option("--overlap-hours", min=0, max=168, help="How long the former secret signs beside the new one."),
    ] = 24,
    as_json: JsonOption = False,
) -> None:
    """Give a webhook a new secret and print it, this once.

    Example: shieldwall webhook rotate-secret Tickets --overlap-hours 48
    """
    with speaking_plainly("replace the secret", as_json=as_json), connected() as session:
        path = f"{WEBHOOKS}/{find_webhook(session, webhook)}/rotateSecret"
        changed = session.call("POST", path, {"overlapHours": overlap})
    _show_secret(changed, as_json=as_json)


def standing_in_words(webhook: dict[str, Any]) -> str:
    """Say in one cell how a webhook is doing."""
    now = present()
    if not webhook["enabled"]:
        because = f": {webhook['switchedOffBecause']}" if webhook["switchedOffBecause"] else ""
        return f"switched off{because}"
    if webhook["failures"]:
        failed = "once" if webhook["failures"] == 1 else f"{webhook['failures']} times"
        again = moment_in_words(webhook["nextAttemptDateTime"], now)
        return f"failed {failed}, next try {again}: {webhook['lastFailure']}"
    last = webhook["lastSuccessDateTime"]
    return f"last delivery {moment_in_words(last, now)}" if last else "nothing sent yet"


def _show_secret(webhook: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(webhook)
        return
    show_facts([("Name", webhook["displayName"]), ("Id", webhook["id"]), ("Secret", webhook["secret"])])
    typer.echo("Tell the receiver the secret now: it is not shown again.")


def _show_attempt(came: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(came)
    elif came["delivered"]:
        typer.echo(f"Delivered: {came['status']} after {came['milliseconds']} ms.")
    else:
        typer.echo(f"Not delivered: {printable(came['cause'])}", err=True)
    if not came["delivered"]:
        raise typer.Exit(1)
