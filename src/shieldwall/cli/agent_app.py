"""``shieldwall-agent``: the group of its commands, and where the agent works that they are about."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from shieldwall.agent.host.running_system import ADMINISTRATOR, own_user
from shieldwall.agent.places import AGENT_STATE as DEFAULT_STATE
from shieldwall.agent.places import DEFAULT_ROOT, applier_for
from shieldwall.agent.service.errors import ApplierSilentError
from shieldwall.agent.service.exit_codes import EXPLAINED
from shieldwall.cli.agent_rights import User, agent_user, become

if TYPE_CHECKING:
    from shieldwall.agent.main import LocalAgent

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
    Path | None,
    # Whether it may be read, each command says in its own words: the doctor goes on without it.
    typer.Option(
        "--state", metavar="DIR", help="The agent's own files.", show_default=str(DEFAULT_STATE), readable=False
    ),
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
    applier: Path | None


@app.callback()
def places(
    context: typer.Context,
    root: Annotated[
        Path | None,
        typer.Option("--root", envvar="SHIELDWALL_ROOT", metavar="DIR", help="Root of the managed file system."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", envvar="SHIELDWALL_STATE", metavar="DIR", help="The agent's own files.", readable=False
        ),
    ] = None,
    applier: Annotated[
        Path | None,
        typer.Option(
            "--applier",
            envvar="SHIELDWALL_APPLIER",
            metavar="SOCKET",
            help="Where the applier listens.",
            readable=False,
        ),
    ] = None,
) -> None:
    """Manage the security settings of this device."""
    context.obj = Places(root=root, state=state, applier=applier)


def agent_of(context: typer.Context, root: Path | None, state: Path | None) -> LocalAgent:
    """Put the agent together for the places said; as root on a machine of two processes, become the agent's user.

    What it says to the applier is the word of that user: it goes by the agent's files, which are not root's.

    Raises:
        ShieldwallError: It cannot be put together.
    """
    prepared = prepare(context, root, state, speaks_as_root=False)
    prepared.take_on()
    return prepared.agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The agent, and as whom it is to be worked with; what root alone can do is done before ``take_on``."""

    agent: LocalAgent
    state: Path
    user: User | None
    is_split: bool

    def take_on(self) -> None:
        """Become the agent's user, if that is another one. Raises: HostError."""
        if self.user is not None:
            become(self.user, self.state)


def prepare(context: typer.Context, root: Path | None, state: Path | None, *, speaks_as_root: bool = True) -> Prepared:
    """Put the agent together; ``speaks_as_root`` opens its way to the applier as whoever we are now.

    Raises:
        ShieldwallError: It cannot be put together.
    """
    from shieldwall.agent.main import local_agent  # noqa: PLC0415 - for what asks the agent, not for `run` or `--help`
    from shieldwall.agent.service.remote_applier import SocketApplier  # noqa: PLC0415 - likewise

    socket = applier_of(context, root)
    root, state = places_of(context, root, state)
    if socket is None:
        return Prepared(agent=local_agent(root, state, sys.stderr), state=state, user=None, is_split=False)
    applier = SocketApplier(socket)
    if speaks_as_root:
        with contextlib.suppress(ApplierSilentError):  # who really asks it something is told
            applier.connect()
    user = agent_user(state) if own_user() == ADMINISTRATOR else None
    agent = local_agent(root, state, sys.stderr, applier=applier)
    return Prepared(agent=agent, state=state, user=user, is_split=True)


def applier_of(context: typer.Context, root: Path | None) -> Path | None:
    """Return the socket of the applier that is to be asked, ``None`` where this process enforces."""
    before: Places = context.obj
    return before.applier or applier_for(root or before.root or DEFAULT_ROOT)


def places_of(context: typer.Context, root: Path | None, state: Path | None) -> tuple[Path, Path]:
    """Return root and state directory, as said after the command's name or before it."""
    before: Places = context.obj
    return root or before.root or DEFAULT_ROOT, state or before.state or DEFAULT_STATE


def is_running(agent: LocalAgent) -> bool:
    """Say whether an agent runs in this state directory."""
    holder = agent.lock.holder()
    return holder is not None and holder.running
