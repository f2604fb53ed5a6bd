"""``shieldwall login``, ``logout`` and ``whoami``: as whom the commands speak to which server."""

from __future__ import annotations

import secrets
import threading
import time
import webbrowser
from pathlib import Path
from typing import Annotated, Final

import typer

from shieldwall.cli.access_tokens import sign_in_person
from shieldwall.cli.graph_session import GraphSession, RefusedError
from shieldwall.cli.http_calls import ServerUnreachableError, answer_of, http_client
from shieldwall.cli.logins import (
    AppLogin,
    InvalidLoginError,
    NotLoggedInError,
    PersonLogin,
    changing_login,
    forget_login,
    load_login,
    store_login,
    stored_login,
)
from shieldwall.cli.options import JsonOption
from shieldwall.cli.presentation import show_facts, show_json, speaking_plainly
from shieldwall.contract.errors import ShieldwallError

_ORGANIZATIONS: Final = "organizations"
"""How the identity platform is asked for the one tenant of a server, where nobody names one."""


class LoginOptionsError(ShieldwallError):
    """The options of ``login`` do not say who logs in where."""

    code = "loginOptions"
    remedy = "Give --server URL to sign in as yourself, or --app FILE to log in as an application."


def login(
    *,
    app: Annotated[
        Path | None, typer.Option("--app", help="File made by: shieldwall server app create --out FILE.")
    ] = None,
    server: Annotated[
        str | None, typer.Option("--server", help="Address of the server, such as https://shieldwall.example.")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Id or domain of the organisation.")] = None,
    authority: Annotated[
        Path | None,
        typer.Option(
            "--certificate-authority", help="PEM file of the authority to trust, such as the server's tls/ca.pem."
        ),
    ] = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser, or only print the address to open.")
    ] = True,
) -> None:
    """Log in; the login is kept for the commands to come, readable by you alone.

    As yourself it is with your browser and your passkey; without options, once more where you signed in last.

    Example: shieldwall login --server https://shieldwall.example

    Example: shieldwall login --app app.json
    """
    with speaking_plainly("log in"):
        if app is not None:
            if server is not None:
                raise LoginOptionsError("--app and --server exclude each other.")
            _as_application(app)
            return
        before = None if server is not None else _last()
        if before is None and server is None:
            raise LoginOptionsError("Nobody signed in here before.")
        if before is not None:
            graph, where, trust = before.graph, before.authority, before.certificate_authority
        else:
            assert server is not None
            graph = _address(server)
            where, trust = f"{graph}/{tenant or _ORGANIZATIONS}", _certificates(authority)
        _as_person(graph, where, trust, browser=browser)


def logout() -> None:
    """Forget the stored login, and end it on the server where it is a person's.

    Example: shieldwall logout
    """
    with speaking_plainly("log out"), changing_login():
        try:
            kept = load_login(stored_login())
        except NotLoggedInError:
            typer.echo("Nobody was logged in.")
            return
        forget_login()
        if isinstance(kept, PersonLogin):
            _revoke(kept)
    typer.echo("Logged out.")


def whoami(*, as_json: JsonOption = False) -> None:
    """Say as whom the commands speak, to which server.

    Example: shieldwall whoami --json
    """
    with speaking_plainly("say who is logged in", as_json=as_json):
        kept = load_login(stored_login())
    if isinstance(kept, AppLogin):
        told = {"kind": "application", "name": kept.client_id, "server": kept.graph, "tenant": kept.tenant_id}
    else:
        told = {"kind": "person", "name": kept.user_name, "server": kept.graph, "tenant": kept.authority.split("/")[-1]}
    if as_json:
        show_json(told)
        return
    show_facts((name.capitalize(), value) for name, value in told.items())


def _as_application(file: Path) -> None:
    found = load_login(file)
    if not isinstance(found, AppLogin):
        raise InvalidLoginError(f"{file} is not the login of an application.")
    with GraphSession(found) as session:
        session.authenticate()
    with changing_login():
        where = store_login(found)
    typer.echo(f"Logged in to {found.graph}. The login is kept in {where}.")


def _as_person(graph: str, authority: str, trust: str, *, browser: bool) -> None:
    def show(address: str) -> None:
        typer.echo(f"Sign in with your browser, at:\n{address}", err=True)
        if browser:  # beside: a browser in the terminal only comes back when it is left
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    with http_client(trust) as http:
        signed_in = sign_in_person(
            http,
            authority=authority,
            graph=graph,
            certificate_authority=trust,
            show=show,
            randomness=secrets.token_bytes,
            now=time.time,  # noqa: TID251 - the edge of the program
        )
    with changing_login():
        where = store_login(signed_in)
    typer.echo(f"Logged in to {graph} as {signed_in.user_name}. The login is kept in {where}.")


def _last() -> PersonLogin | None:
    try:
        kept = load_login(stored_login())
    except NotLoggedInError:
        return None
    return kept if isinstance(kept, PersonLogin) else None


def _revoke(kept: PersonLogin) -> None:
    """End the login on the server; where nobody answers it ends by itself in time."""
    form = {"client_id": kept.client_id, "token": kept.refresh_token}
    try:
        with http_client(kept.certificate_authority) as http:
            answer_of(http, "POST", f"{kept.authority}/oauth2/v2.0/revoke", data=form)
    except (ServerUnreachableError, RefusedError) as error:
        typer.echo(f"The server did not hear of it: {error.cause}", err=True)


def _address(server: str) -> str:
    address = server.rstrip("/")
    if not address.startswith("https://"):
        raise LoginOptionsError(f"{server} is not an https address.")
    return address


def _certificates(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return file.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        raise InvalidLoginError(f"{file} cannot be read as a PEM file.") from None
