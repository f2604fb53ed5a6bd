"""``shieldwall identity-provider``: OpenID providers at which people of the tenant sign in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import typer

from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.names import IDENTITY_PROVIDERS as PROVIDERS
from shieldwall.cli.names import find_group, find_identity_provider
from shieldwall.cli.options import JsonOption, YesOption
from shieldwall.cli.presentation import in_words, printable, show_facts, show_json, show_table, speaking_plainly
from shieldwall.contract.errors import ShieldwallError

app: Final = typer.Typer(no_args_is_help=True, help="Identity providers: list, show, create, change, delete.")

ProviderArgument = Annotated[str, typer.Argument(help="Id or exact name of the identity provider.")]
SecretOption = Annotated[
    str | None,
    typer.Option("--secret-file", help="File with our secret there, '-' for standard input; it is never shown again."),
]
AdmissionOption = Annotated[
    Literal["invited", "mapped"] | None,
    typer.Option("--admission", help="Who comes in for the first time: whom you invited, or a mapped group as well."),
]
MapOption = Annotated[
    list[str] | None,
    typer.Option("--map", help="GROUP-ID-THERE=GROUP: a group there, and ours by id or name; several times."),
]
ScopeOption = Annotated[str | None, typer.Option("--scope", help="What is asked for there: 'openid profile'.")]
NameClaimOption = Annotated[str | None, typer.Option("--name-claim", help="The claim that names people.")]
GroupClaimOption = Annotated[str | None, typer.Option("--group-claim", help="The claim that lists their groups.")]
AmrOption = Annotated[
    list[str] | None, typer.Option("--require-amr", help="How they have to sign in there; one suffices.")
]
AcrOption = Annotated[list[str] | None, typer.Option("--require-acr", help="At which level; one suffices.")]
AgeOption = Annotated[
    int | None, typer.Option("--max-age-seconds", min=0, help="How long ago they may have signed in there.")
]


@app.command("list")
def list_providers(*, as_json: JsonOption = False) -> None:
    """List the identity providers of the tenant.

    Example: shieldwall identity-provider list
    """
    with speaking_plainly("list the identity providers", as_json=as_json), connected() as session:
        found = list(session.pages(PROVIDERS))
    if as_json:
        show_json(found)
        return
    rows = [
        (
            each["displayName"],
            each["issuer"],
            "on" if each["isEnabled"] else "off",
            each["settings"]["admission"],
            "yes" if each["hasClientSecret"] else "no",
            each["id"],
        )
        for each in found
    ]
    columns = ("Name", "Issuer", "State", "Comes in", "Secret", "Id")
    show_table(columns, rows, empty="People sign in here alone.")


@app.command("show")
def show_provider(provider: ProviderArgument, *, as_json: JsonOption = False) -> None:
    """Show one identity provider, and what is expected of it.

    Example: shieldwall identity-provider show Contoso
    """
    with speaking_plainly("show the identity provider", as_json=as_json), connected() as session:
        found = session.call("GET", _path(session, provider))
    if as_json:
        show_json(found)
        return
    hidden = {"clientSecret", "settings"}
    own = {name: value for name, value in found.items() if name not in hidden and not name.startswith("@")}
    show_facts([(name, in_words(value)) for name, value in (own | found["settings"]).items()])


@app.command("create")
def create_provider(
    name: Annotated[str, typer.Argument(help="What people read where they sign in.")],
    *,
    issuer: Annotated[str, typer.Option("--issuer", help="Its issuer: an https address.")],
    client_id: Annotated[str, typer.Option("--client-id", help="How we are known there.")],
    secret_file: SecretOption = None,
    admission: AdmissionOption = None,
    maps: MapOption = None,
    scope: ScopeOption = None,
    name_claim: NameClaimOption = None,
    group_claim: GroupClaimOption = None,
    require_amr: AmrOption = None,
    require_acr: AcrOption = None,
    max_age_seconds: AgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let people of the tenant sign in at another OpenID provider; without a secret we are a public client there.

    Example: shieldwall identity-provider create Contoso --issuer https://id.contoso.com --client-id sw --secret-file -
    """
    with speaking_plainly("make the identity provider", as_json=as_json), connected() as session:
        settings = {
            "admission": admission,
            "groupMappings": _mappings(session, maps),
            "scope": scope,
            "nameClaim": name_claim,
            "groupClaim": group_claim,
            "requiredAmr": require_amr,
            "requiredAcr": require_acr,
            "maxAgeSeconds": max_age_seconds,
        }
        body = {
            "displayName": name,
            "issuer": issuer,
            "clientId": client_id,
            "clientSecret": _secret(secret_file),
            "settings": _given(settings),
        }
        made = session.call("POST", PROVIDERS, _given(body))
    if as_json:
        show_json(made)
    else:
        show_facts([("Name", made["displayName"]), ("Issuer", made["issuer"]), ("Id", made["id"])])


@app.command("change")
def change_provider(
    provider: ProviderArgument,
    *,
    name: Annotated[str | None, typer.Option("--name", help="What people read from now on.")] = None,
    client_id: Annotated[str | None, typer.Option("--client-id", help="How we are known there now.")] = None,
    secret_file: SecretOption = None,
    enabled: Annotated[bool | None, typer.Option("--on/--off", help="Let people sign in there, or not.")] = None,
    admission: AdmissionOption = None,
    maps: MapOption = None,
    scope: ScopeOption = None,
    name_claim: NameClaimOption = None,
    group_claim: GroupClaimOption = None,
    require_amr: AmrOption = None,
    require_acr: AcrOption = None,
    max_age_seconds: AgeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change an identity provider. What is given replaces what was there, groups as a whole; the issuer stays.

    Example: shieldwall identity-provider change Contoso --require-amr fido --require-amr mfa
    """
    with speaking_plainly("change the identity provider", as_json=as_json), connected() as session:
        path = _path(session, provider)
        settings = {
            "admission": admission,
            "groupMappings": _mappings(session, maps),
            "scope": scope,
            "nameClaim": name_claim,
            "groupClaim": group_claim,
            "requiredAmr": require_amr,
            "requiredAcr": require_acr,
            "maxAgeSeconds": max_age_seconds,
        }
        body = _given(
            {
                "displayName": name,
                "clientId": client_id,
                "clientSecret": _secret(secret_file),
                "isEnabled": enabled,
            }
        )
        if given := _given(settings):
            body["settings"] = session.call("GET", path)["settings"] | given
        if not body:
            raise ShieldwallError("Nothing would change.", remedy="Say what shall be different; --help lists it.")
        changed = session.call("PATCH", path, body)
    if as_json:
        show_json(changed)
    else:
        typer.echo(f"{printable(changed['displayName'])} is {'on' if changed['isEnabled'] else 'off'}.")


@app.command("delete")
def delete_provider(provider: ProviderArgument, *, yes: YesOption = False) -> None:
    """Remove an identity provider; whoever signs in there alone comes in no more.

    Example: shieldwall identity-provider delete Contoso --yes
    """
    with speaking_plainly("remove the identity provider"), connected() as session:
        path = _path(session, provider)
        if not yes:
            typer.confirm(f"Remove the identity provider {printable(provider)}?", abort=True)
        session.call("DELETE", path)
    typer.echo("Removed.")


def _path(session: GraphSession, provider: str) -> str:
    return f"{PROVIDERS}/{quote(find_identity_provider(session, provider), safe='')}"


def _mappings(session: GraphSession, maps: list[str] | None) -> dict[str, str] | None:
    """Read which groups there stand for which of ours. Raises: ShieldwallError."""
    if maps is None:
        return None
    found = {}
    for each in maps:
        there, sign, ours = each.partition("=")
        if not there or not sign or not ours:
            raise ShieldwallError(f"{each!r} maps nothing.", remedy="Write --map GROUP-ID-THERE=GROUP.")
        found[there] = find_group(session, ours)
    return found


def _secret(file: str | None) -> str | None:
    """Read a secret: the first line of a file, or of standard input. Raises: ShieldwallError."""
    if file is None:
        return None
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise ShieldwallError(f"The secret cannot be read from {file}.", remedy="Name a file with it alone.") from None
    lines = text.splitlines()
    if len(lines) != 1 or not lines[0].strip():
        raise ShieldwallError("A secret is one line.", remedy="Write it alone into the file, or to standard input.")
    return lines[0].strip()


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
