"""``shieldwall person``: who administers the tenant, and how they get in."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.names import PEOPLE, find_person
from shieldwall.cli.options import JsonOption
from shieldwall.cli.presentation import show_json, show_table, speaking_plainly

app: Final = typer.Typer(no_args_is_help=True, help="People: list, invite, let in again, switch off.")

PersonArgument = Annotated[str, typer.Argument(help="Id, user principal name or display name.")]


@app.command("list")
def list_people(*, as_json: JsonOption = False) -> None:
    """List the people of the tenant.

    Example: shieldwall person list
    """
    with speaking_plainly("list the people", as_json=as_json), connected() as session:
        found = list(session.pages(PEOPLE))
    if as_json:
        show_json(found)
        return
    show_table(("Name", "User name", "Account", "Last sign-in", "Id"), map(_row, found))


@app.command("show")
def show_person(person: PersonArgument, *, as_json: JsonOption = False) -> None:
    """Show one person with their passkeys.

    Example: shieldwall person show ada@example.org
    """
    with speaking_plainly("show the person", as_json=as_json), connected() as session:
        path = f"{PEOPLE}/{find_person(session, person)}"
        found = session.call("GET", path)
        found["fido2Methods"] = list(session.pages(f"{path}/authentication/fido2Methods"))
    if as_json:
        show_json(found)
        return
    show_table(("Name", "User name", "Account", "Last sign-in", "Id"), [_row(found)])
    now = present()
    passkeys = [
        (each["displayName"], *(moment_in_words(each[when], now) for when in ("createdDateTime", "lastUsedDateTime")))
        for each in found["fido2Methods"]
    ]
    show_table(("Passkey", "Added", "Last used"), passkeys, empty="No passkeys.")


@app.command("invite")
def invite(
    person: PersonArgument,
    name: Annotated[str | None, typer.Option("--name", help="Display name of somebody new.")] = None,
) -> None:
    """Print a link that lets one person in once, within fifteen minutes: somebody new, or somebody who lost their key.

    Somebody new is named by a user principal name and --name, and may do nothing until a role is assigned.

    Example: shieldwall person invite grace@example.org --name "Grace Hopper"
    """
    with speaking_plainly("invite the person"), connected() as session:
        wanted = find_person(session, person) if name is None else _made(session, person, name)
        path = f"{PEOPLE}/{wanted}/authentication/temporaryAccessPassMethods"
        made = session.call("POST", path, {})
    typer.echo(made["signInUrl"])


@app.command("disable")
def disable(person: PersonArgument) -> None:
    """Switch an account off: whoever has it is signed out everywhere, and cannot come in.

    Example: shieldwall person disable grace@example.org
    """
    _switch(person, enabled=False)
    typer.echo("Switched off.")


@app.command("enable")
def enable(person: PersonArgument) -> None:
    """Switch an account on again.

    Example: shieldwall person enable grace@example.org
    """
    _switch(person, enabled=True)
    typer.echo("Switched on.")


@app.command("end-sessions")
def end_sessions(person: PersonArgument) -> None:
    """Sign a person out everywhere.

    Example: shieldwall person end-sessions grace@example.org
    """
    with speaking_plainly("end the sessions"), connected() as session:
        session.call("POST", f"{PEOPLE}/{find_person(session, person)}/revokeSignInSessions")
    typer.echo("Signed out everywhere.")


def _made(session: GraphSession, user_name: str, name: str) -> str:
    body = {"userPrincipalName": user_name, "displayName": name, "accountEnabled": True}
    return str(session.call("POST", PEOPLE, body)["id"])


def _switch(person: str, *, enabled: bool) -> None:
    with speaking_plainly("switch the account"), connected() as session:
        session.call("PATCH", f"{PEOPLE}/{find_person(session, person)}", {"accountEnabled": enabled})


def _row(person: dict[str, Any]) -> tuple[object, ...]:
    signed_in = person["signInActivity"]["lastSignInDateTime"]
    return (
        person["displayName"],
        person["userPrincipalName"],
        "on" if person["accountEnabled"] else "off",
        moment_in_words(signed_in, present()) if signed_in else "never",
        person["id"],
    )
