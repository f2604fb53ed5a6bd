"""``shieldwall policy export``: one policy as JSON, or everything as a directory for git."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from shieldwall.cli.declared.writing import written
from shieldwall.cli.declared_commands import export_everything
from shieldwall.cli.graph_session import connected
from shieldwall.cli.names import POLICIES, find_policy
from shieldwall.cli.presentation import show_json, speaking_plainly
from shieldwall.contract.errors import ShieldwallError

_EXPORTED: Final = (
    "name",
    "description",
    "platforms",
    "technologies",
    "roleScopeTagIds",
    "templateReference",
    "priorityMetaData",
    "settings",
)


def export(
    policy: Annotated[str | None, typer.Argument(help="Id or exact name of the policy.")] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write, or directory with --all; one policy is printed without."),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="All policies, and the groups, filters and reusable settings they need, for git."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier --all wrote.")] = False,
) -> None:
    """Write a policy as JSON that can be imported again, or everything as a directory for apply and diff.

    Secrets are written as tokens that mean something on this server alone.

    Example: shieldwall policy export "Linux servers: antivirus" --out antivirus.json
    """
    with speaking_plainly("export"):
        if everything == (policy is not None) or (everything and out is None):
            raise ShieldwallError(
                "Nothing says what to export and where to.", remedy="Name one policy, or say --all --out DIRECTORY."
            )
        if everything:
            assert out is not None
            export_everything(out, overwrite=overwrite)
        elif policy is not None:
            _export_one(policy, out)


def _export_one(policy: str, out: Path | None) -> None:
    with connected() as session:
        found = session.call("GET", f"{POLICIES}/{find_policy(session, policy)}", query={"$expand": "settings"})
    exported = {name: found[name] for name in _EXPORTED if found.get(name) is not None}
    if out is None:
        show_json(exported)
        return
    try:
        out.write_bytes(written(exported))
    except OSError as error:
        raise ShieldwallError(f"{out} cannot be written: {error.strerror}.", remedy="Name another file.") from None
    typer.echo(f"Wrote {out}.")
