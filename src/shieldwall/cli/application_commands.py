"""``shieldwall app``: programs that ask for tokens, and what they may do."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from shieldwall.cli.application_credentials import (
    APPLICATIONS,
    AppArgument,
    add_certificate,
    add_secret,
    certificate_in,
    find_application,
    give_secret,
    remove_credential,
)
from shieldwall.cli.graph_session import connected
from shieldwall.cli.listing import ODataOption, OrderOption, WordsOption, asked_of
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.options import JsonOption, YesOption
from shieldwall.cli.presentation import printable, show_facts, show_json, show_table, speaking_plainly
from shieldwall.cli.private_files import new_private_file
from shieldwall.contract.errors import ShieldwallError

app: Final = typer.Typer(
    no_args_is_help=True,
    help="Applications that ask for tokens: list, show, create, change, delete; secrets and certificates.",
)
app.command("add-secret")(add_secret)
app.command("add-certificate")(add_certificate)
app.command("remove-credential")(remove_credential)

PermissionOption = Annotated[
    list[str] | None, typer.Option("--permission", help="A permission of its own; may be given several times.")
]
DelegatedOption = Annotated[
    list[str] | None, typer.Option("--delegated", help="A permission it may use for people who sign in to it.")
]
RedirectOption = Annotated[
    list[str] | None, typer.Option("--redirect-uri", help="Where people return: https://…, or http://localhost.")
]
_OF_ITS_OWN: Final = "shieldwall"


@app.command("list")
def list_applications(
    *,
    odata: ODataOption = None,
    search: WordsOption = None,
    order: OrderOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the applications of the tenant, with when the first of their secrets and certificates ends.

    Example: shieldwall app list --search backup
    """
    with speaking_plainly("list the applications", as_json=as_json), connected() as session:
        found = list(session.pages(APPLICATIONS, query=asked_of(odata=odata, order=order, words=search)))
    if as_json:
        show_json(found)
        return
    now = present()
    rows = [
        (
            each["displayName"],
            "on" if each[_OF_ITS_OWN]["enabled"] else "off",
            "public" if each["isFallbackPublicClient"] else "confidential",
            len(each[_OF_ITS_OWN]["permissions"]),
            len(each[_OF_ITS_OWN]["delegatedPermissions"]),
            moment_in_words(min((kept["endDateTime"] for kept in _credentials(each)), default=None), now),
            each["appId"],
        )
        for each in found
    ]
    show_table(("Name", "Account", "Kind", "Permissions", "Delegated", "First ends", "Client id"), rows)


@app.command("show")
def show_application(application: AppArgument, *, as_json: JsonOption = False) -> None:
    """Show one application: what it may do, where people return, and what it shows who it is by.

    Example: shieldwall app show Backup
    """
    with speaking_plainly("show the application", as_json=as_json), connected() as session:
        found = find_application(session, application)
    if as_json:
        show_json(found)
        return
    now, own = present(), found[_OF_ITS_OWN]
    show_facts(
        [
            ("Name", found["displayName"]),
            ("Client id", found["appId"]),
            ("Id", found["id"]),
            ("Account", "on" if own["enabled"] else "off"),
            ("Kind", "public" if found["isFallbackPublicClient"] else "confidential"),
            ("Made", moment_in_words(found["createdDateTime"], now)),
            ("Permissions", ", ".join(own["permissions"]) or "none"),
            ("Delegated", ", ".join(own["delegatedPermissions"]) or "none"),
            ("People return to", ", ".join(_redirect_uris(found)) or "nowhere"),
        ]
    )
    typer.echo()
    rows = [
        (
            each["displayName"] or "-",
            "certificate" if "usage" in each else "secret",
            moment_in_words(each["endDateTime"], now),
            each["keyId"],
        )
        for each in _credentials(found)
    ]
    show_table(("Shows", "Kind", "Ends", "Id"), rows, empty="It has no secret and no certificate.")


@app.command("create")
def create_application(
    name: Annotated[str, typer.Argument(help="What the application is called.")],
    *,
    permission: PermissionOption = None,
    delegated: DelegatedOption = None,
    redirect_uri: RedirectOption = None,
    public: Annotated[bool, typer.Option("--public", help="It runs where no secret can be kept.")] = False,
    certificate: Annotated[
        list[Path] | None,
        typer.Option("--certificate", help="Its certificate, PEM or DER, in the place of a secret.", dir_okay=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write its login here, for you alone, and show no secret.", dir_okay=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make an application. It gets a secret, shown this once, unless it is public or has a certificate.

    Example: shieldwall app create Backup --permission Group.Read.All --out backup.json
    """
    with speaking_plainly("make the application", as_json=as_json), connected() as session:
        has_secret = not certificate and not public
        if out is not None and not has_secret:
            raise ShieldwallError("There is no secret to write.", remedy="Leave out --out, --public or --certificate.")
        body: dict[str, Any] = {
            "displayName": name,
            "isFallbackPublicClient": public,
            "publicClient" if public else "web": {"redirectUris": redirect_uri or []},
            "keyCredentials": [{"key": certificate_in(each), "displayName": each.stem} for each in certificate or ()],
            _OF_ITS_OWN: {"permissions": permission or [], "delegatedPermissions": delegated or []},
        }
        with nullcontext() if out is None else new_private_file(out) as file:
            made = session.call("POST", APPLICATIONS, body)
            secret = give_secret(session, made, "First secret", file=file) if has_secret else None
    if as_json:
        show_json(made if secret is None else made | {"secretText": None if out is not None else secret["secretText"]})
        return
    facts = [("Name", made["displayName"]), ("Client id", made["appId"]), ("Id", made["id"])]
    if secret is not None and out is None:
        facts.append(("Secret", secret["secretText"]))
    show_facts(facts)
    if out is not None:
        typer.echo(f"Its login is in {out}. Next: shieldwall login --app {out}")
    elif secret is not None:
        typer.echo("Keep the secret now: it is not shown again.")


@app.command("change")
def change_application(
    application: AppArgument,
    *,
    name: Annotated[str | None, typer.Option("--name", help="What it is called now.")] = None,
    permission: PermissionOption = None,
    delegated: DelegatedOption = None,
    redirect_uri: RedirectOption = None,
    public: Annotated[
        bool | None, typer.Option("--public/--confidential", help="Whether it runs where no secret can be kept.")
    ] = None,
    enabled: Annotated[bool | None, typer.Option("--on/--off", help="Let it ask for tokens, or not.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Change an application. Permissions and addresses that are given replace all that it had; '' is none.

    Example: shieldwall app change Backup --permission Group.Read.All --permission Device.Read.All
    """
    with speaking_plainly("change the application", as_json=as_json), connected() as session:
        found = find_application(session, application)
        is_public = found["isFallbackPublicClient"] if public is None else public
        own = {"permissions": _listed(permission), "delegatedPermissions": _listed(delegated), "enabled": enabled}
        uris = _listed(redirect_uri)
        asked = {
            "displayName": name,
            "isFallbackPublicClient": public,
            "publicClient" if is_public else "web": None if uris is None else {"redirectUris": uris},
            _OF_ITS_OWN: _given(own) or None,
        }
        if not (body := _given(asked)):
            raise ShieldwallError("Nothing would change.", remedy="Say what shall be different; --help lists it.")
        session.call("PATCH", f"{APPLICATIONS}/{found['id']}", body)
        changed = session.call("GET", f"{APPLICATIONS}/{found['id']}")
    if as_json:
        show_json(changed)
    else:
        typer.echo(f"Changed {printable(changed['displayName'])}.")


@app.command("delete")
def delete_application(application: AppArgument, *, yes: YesOption = False) -> None:
    """Delete an application; every token that it was handed is worth nothing from now on.

    Example: shieldwall app delete Backup --yes
    """
    with speaking_plainly("delete the application"), connected() as session:
        found = find_application(session, application)
        if not yes:
            typer.confirm(f"Delete the application {printable(found['displayName'])}?", abort=True)
        session.call("DELETE", f"{APPLICATIONS}/{found['id']}")
    typer.echo(f"Deleted {printable(found['displayName'])}.")


def _credentials(application: dict[str, Any]) -> list[dict[str, Any]]:
    return [*application["passwordCredentials"], *application["keyCredentials"]]


def _redirect_uris(application: dict[str, Any]) -> list[str]:
    return [*application["publicClient"]["redirectUris"], *application["web"]["redirectUris"]]


def _listed(given: list[str] | None) -> list[str] | None:
    """Read an option that may be given several times: an empty text stands for none."""
    return None if given is None else [each for each in given if each]


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
