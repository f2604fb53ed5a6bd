"""``shieldwall login`` and ``shieldwall api``: the way in, and any call that has no command of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shieldwall.cli.graph_session import GraphSession, connected, load_login, store_login
from shieldwall.cli.presentation import show_json, speaking_plainly
from shieldwall.contract.strict_json import decode_any


def login(
    app: Annotated[Path, typer.Option("--app", help="File made by: shieldwall server app create --out FILE.")],
) -> None:
    """Log in as an application; the login is kept for the commands to come, readable by you alone.

    Example: shieldwall login --app app.json
    """
    with speaking_plainly("log in"):
        found = load_login(app)
        with GraphSession(found) as session:
            session.authenticate()
        where = store_login(found)
    typer.echo(f"Logged in to {found.graph}. The login is kept in {where}.")


def api(
    method: Annotated[str, typer.Argument(help="GET, POST, PATCH, PUT or DELETE.")],
    path: Annotated[str, typer.Argument(help="Path such as /beta/deviceManagement/configurationPolicies.")],
    body: Annotated[Path | None, typer.Option("--body", help="File with the JSON body.", exists=True)] = None,
) -> None:
    """Call the API and print its answer as JSON.

    Example: shieldwall api GET "/v1.0/groups?$top=5"
    """
    with speaking_plainly(f"call {method.upper()} {path}"), connected() as session:
        content = None if body is None else body.read_bytes()
        if content is not None:
            decode_any(content)
        answer = session.call(method.upper(), path, raw=content)
    if answer is not None:
        show_json(answer)
