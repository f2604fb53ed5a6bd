"""``shieldwall api``: any call that has no command of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from shieldwall.cli.graph_session import connected
from shieldwall.cli.presentation import show_json, speaking_plainly
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import decode_any


class CallOptionsError(ShieldwallError):
    """An option of ``api`` cannot be followed."""

    code = "callOptions"
    remedy = "Write headers as 'Name: value', and use --all with GET alone."


def api(
    method: Annotated[str, typer.Argument(help="GET, POST, PATCH, PUT or DELETE.")],
    path: Annotated[str, typer.Argument(help="Path such as /beta/deviceManagement/configurationPolicies.")],
    *,
    body: Annotated[
        Path | None, typer.Option("--body", help="File with the JSON body; - reads standard input.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="The JSON body itself.")] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="A header 'Name: value'; may be given several times.")
    ] = None,
    whole: Annotated[
        bool, typer.Option("--all", help="Follow the pages of a listing and print all its items.")
    ] = False,
) -> None:
    """Call the API and print its answer as JSON.

    Example: shieldwall api GET "/v1.0/groups?$filter=startswith(displayName,'srv')&$top=5"

    Example: shieldwall api PATCH /v1.0/groups/ID --data '{"description": "Web servers"}'
    """
    with speaking_plainly(f"call {method.upper()} {path}"), connected() as session:
        content = _content(body, data)
        headers = dict(map(_header, header or ()))
        if whole:
            if method.upper() != "GET" or content is not None:
                raise CallOptionsError("--all reads a listing.")
            answer: Any = list(session.pages(path, headers=headers))
        else:
            answer = session.call(method.upper(), path, raw=content, headers=headers)
    if isinstance(answer, str):
        typer.echo(answer)
    elif answer is not None:
        show_json(answer)


def _content(body: Path | None, data: str | None) -> bytes | None:
    if body is not None and data is not None:
        raise CallOptionsError("--body and --data exclude each other.")
    if data is not None:
        content = data.encode()
    elif body is None:
        return None
    elif str(body) == "-":
        content = sys.stdin.buffer.read()
    else:
        try:
            content = body.read_bytes()
        except OSError as error:
            raise CallOptionsError(f"{body} cannot be read: {error.strerror}.", remedy="Name a file.") from None
    decode_any(content)
    return content


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not (name + value).isprintable():
        raise CallOptionsError(f"{text!r} is not a header.")
    return name.strip(), value.strip()
