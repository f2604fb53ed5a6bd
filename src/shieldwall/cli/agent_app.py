"""``shieldwall-agent``: the group of its commands, and where the agent works that they are about."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from shieldwall.agent.main import DEFAULT_ROOT, DEFAULT_STATE, LocalAgent, local_agent
from shieldwall.agent.service.exit_codes import EXPLAINED

_EXAMPLES: Final = """
\b
Examples:
  shieldwall-agent onboard shieldwall_onboarding.json --wait
  shieldwall-agent run
  shieldwall-agent sync
  shieldwall-agent effective
  shieldwall-agent doctor --bundle for-support.zip
"""

app = typer.Typer(
    name="shieldwall-agent",
    help=f"Manage the security settings of this device.\n{_EXAMPLES}",
    epilog=f"Exit codes: {EXPLAINED}.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RootOption = Annotated[
    Path | None, typer.Option("--root", metavar="DIR", help="Root of the managed file system.", show_default="/")
]
StateOption = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="The agent's own files.", show_default=str(DEFAULT_STATE))
]
CertificateOption = Annotated[
    Path | None,
    typer.Option("--certificate", metavar="FILE", help="Certificate of a registration this machine has, PEM."),
]
KeyOption = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="Private key of that certificate, PEM, for root alone.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the agent works, as said before the command's name."""

    root: Path | None
    state: Path | None


@app.callback()
def places(
    context: typer.Context,
    root: Annotated[
        Path | None,
        typer.Option("--root", envvar="SHIELDWALL_ROOT", metavar="DIR", help="Root of the managed file system."),
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", envvar="SHIELDWALL_STATE", metavar="DIR", help="The agent's own files.")
    ] = None,
) -> None:
    """Manage the security settings of this device."""
    context.obj = Places(root=root, state=state)


def agent_of(context: typer.Context, root: Path | None, state: Path | None) -> LocalAgent:
    """Put the agent together for the places said. Raises: ShieldwallError."""
    root, state = places_of(context, root, state)
    return local_agent(root, state, sys.stderr)


def places_of(context: typer.Context, root: Path | None, state: Path | None) -> tuple[Path, Path]:
    """Return root and state directory, as said after the command's name or before it."""
    before: Places = context.obj
    return root or before.root or DEFAULT_ROOT, state or before.state or DEFAULT_STATE


def is_running(agent: LocalAgent) -> bool:
    """Say whether an agent runs in this state directory."""
    holder = agent.lock.holder()
    return holder is not None and holder.running
