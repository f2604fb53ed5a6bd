"""``shieldwall-agent``, the device's command line: it parses, calls and shows. The agent is in ``shieldwall.agent``."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from shieldwall import __version__
from shieldwall.agent.host.running_system import ADMINISTRATOR, own_user
from shieldwall.agent.platforms import PACKAGE_WORDS, THIS_PLATFORM
from shieldwall.agent.service.attest_key import AttestKey
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.errands import Errand
from shieldwall.agent.service.errors import TamperProtectedError, UnsuitablePackageError
from shieldwall.agent.service.exit_codes import exit_code
from shieldwall.agent.service.lock import ask_to_check_in, ask_to_stop
from shieldwall.agent.service.overview import changes
from shieldwall.agent.service.package_file import Leave, envelope_of, offboarding_content, open_leave
from shieldwall.agent.service.rotating import RotateKey
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.syncing import Sync
from shieldwall.cli import agent_coming, agent_doctor, agent_errands, agent_events, agent_selftest, agent_showing
from shieldwall.cli.agent_app import JsonOption, RootOption, StateOption, agent_of, app, applier_of, places_of, prepare
from shieldwall.cli.agent_rights import agent_user, become
from shieldwall.cli.presentation import in_words, show_json, show_table, speaking_plainly
from shieldwall.trust.onboarding import InvalidPackageError

if TYPE_CHECKING:
    from shieldwall.agent.main import LocalAgent

__all__ = ["app", "main"]

OTHER_COMMANDS: Final = (agent_coming, agent_showing, agent_doctor, agent_events, agent_selftest)
"""Commands of the same group that stand in files of their own."""
if sys.platform != "win32":
    from shieldwall.cli import agent_quarantine  # Defender has a quarantine of its own

    __all__ += ["agent_quarantine"]


@app.command()
def run(context: typer.Context, root: RootOption = None, state: StateOption = None) -> None:
    """Check in and enforce, until stopped. Where the package is installed, its service does the same."""
    socket = applier_of(context, root)
    root, state = places_of(context, root, state)
    with speaking_plainly("run the agent", exit_code=exit_code):
        kept = AgentState(directory=state, disk=LocalDisk())
        if kept.find_pending() is None:  # one that waits to be let in may run, and asks until it is
            kept.get_identity()
        user = agent_user(state) if socket is not None and own_user() == ADMINISTRATOR else None
        if user is not None:
            become(user, state)
    places = [root, state] if socket is None else [root, state, socket]
    program = [sys.executable, "-I", "-m", "shieldwall.agent.main", *(str(place.absolute()) for place in places)]
    # Another process image, without what a command line needs; and nothing of the caller's environment steers it.
    os.execve(sys.executable, program, {"LANG": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})  # noqa: S606 - words, no shell


@app.command()
def sync(
    context: typer.Context, as_json: JsonOption = False, root: RootOption = None, state: StateOption = None
) -> None:
    """Check in now, and show what changed. Works beside a running agent."""
    with speaking_plainly("check in", as_json=as_json, exit_code=exit_code):
        agent = agent_of(context, root, state)
        synced = Sync(surroundings=agent.surroundings, lock=agent.lock, monotonic=time.monotonic, sleep=time.sleep)()
        changed = changes(synced.before, synced.after)
    if as_json:
        show_json({"changed": changed})
        return
    names = {name: definition.display_name for name, definition in agent.catalog.definitions.items()}
    show_table(
        ("Setting", "Provider", "Before", "Now"),
        [
            (names.get(each.setting, each.setting), each.provider, in_words(each.before), in_words(each.now))
            for each in changed
        ],
        empty="Checked in. Nothing changed.",
    )


@app.command("rotate-key")
def rotate_key(context: typer.Context, root: RootOption = None, state: StateOption = None) -> None:
    """Change the device key now; the old one is refused from then on. Works beside a running agent.

    The agent does so by itself every two years.
    """
    with speaking_plainly("change the device key", exit_code=exit_code):
        agent = agent_of(context, root, state)
        sync = Sync(surroundings=agent.surroundings, lock=agent.lock, monotonic=time.monotonic, sleep=time.sleep)
        thumbprint = RotateKey(state=agent.surroundings.state, sync=sync)()
    typer.echo(f"The device key is {thumbprint} now.")


@app.command("attest")
def attest_key(context: typer.Context, root: RootOption = None, state: StateOption = None) -> None:
    """Prove to the server anew that the device key is in this machine's TPM. Works beside a running agent.

    The agent does so by itself when it onboards and when it has a new key.
    """
    with speaking_plainly("attest the device key", exit_code=exit_code):
        agent = agent_of(context, root, state)
        sync = Sync(surroundings=agent.surroundings, lock=agent.lock, monotonic=time.monotonic, sleep=time.sleep)
        AttestKey(state=agent.surroundings.state, sync=sync)()
    typer.echo("The TPM has spoken for the device key; the server shows the attestation level.")


@app.command()
def offboard(
    context: typer.Context,
    *,
    reason: Annotated[str, typer.Option(help="For the server's records.")] = "",
    without_server: Annotated[
        bool,
        typer.Option("--without-server", help="Leave without a word to the server: it is gone, or does not listen."),
    ] = False,
    package: Annotated[
        Path | None,
        typer.Option("--package", metavar="FILE", help="Offboarding package: leave to go where protection is on."),
    ] = None,
    root: RootOption = None,
    state: StateOption = None,
) -> None:
    """Take this device out of management: every setting goes back to its state from before. Stops a running agent.

    A device that is protected against tampering leaves by an order of the server or with an offboarding package alone.
    """
    with speaking_plainly("offboard this device", exit_code=exit_code):
        shown = _shown(package)  # while we may read what is root's
        prepared = prepare(context, root, state)
        prepared.take_on()
        agent = prepared.agent
        if agent_errands.IS_NEEDED:
            _offboard_by_the_agent(agent, shown, reason=reason, without_server=without_server)
        elif prepared.is_split and agent.surroundings.state.find_identity() is None:
            _release_alone(agent, shown)
        else:
            _offboard(agent, shown, reason=reason, without_server=without_server)
    typer.echo("This device is out of management; its settings are as they were before.")


@app.command("may-remove", hidden=True)
def may_remove(context: typer.Context, root: RootOption = None, state: StateOption = None) -> None:
    """Say whether the package may be removed: what asks is the package itself. A refusal is told to the server."""
    with speaking_plainly("remove the agent", exit_code=exit_code):
        agent = agent_of(context, root, state)
        if agent.surroundings.state.find_identity() is None:
            if agent.surroundings.enforcer.look().protected:  # who takes the identity away does not get away with it
                raise TamperProtectedError("Tamper protection is on for this device.")
            return
        enrolled = agent.surroundings.enrolled()
        manifest = enrolled.enforcement.delivery.manifest()
        if manifest is not None and agent.surroundings.troubleshooting.is_open(manifest):
            return
        try:
            enrolled.offboard.check_allowed(None, doing="removal of the package")
        except TamperProtectedError:
            holder = agent.lock.holder()
            if holder is not None and holder.running:
                ask_to_check_in(holder)
            raise


@app.command()
def version() -> None:
    """Print the agent's version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line."""
    app()


def _shown(package: Path | None) -> bytes | UnsuitablePackageError | None:
    """Read a package; that its file is odd is told once there is somebody to tell."""
    try:
        return None if package is None else offboarding_content(package)
    except UnsuitablePackageError as refusal:
        return refusal


def _offboard(
    agent: LocalAgent, shown: bytes | UnsuitablePackageError | None, *, reason: str, without_server: bool
) -> None:
    opened = _opened(agent, shown)
    holder = agent.lock.holder()
    try:
        agent.surroundings.enrolled().offboard.check_allowed(opened)
    except TamperProtectedError:
        if holder is not None and holder.running:
            ask_to_check_in(holder)  # the server shall hear of it now, not in an hour
        raise
    if holder is not None and holder.running:
        ask_to_stop(holder)
    with agent.lock.held(patience_seconds=120.0):
        agent.surroundings.promote().finish()
        agent.surroundings.enrolled().offboard(reason=reason, without_server=without_server, package=opened)


def _offboard_by_the_agent(
    agent: LocalAgent, shown: bytes | UnsuitablePackageError | None, *, reason: str, without_server: bool
) -> None:
    """Say as an administrator that this device may go, and let the agent's service take it out."""
    if isinstance(shown, UnsuitablePackageError):
        raise shown
    if shown is None:
        with contextlib.suppress(TamperProtectedError):  # the agent says the same, and tells the server
            agent.surroundings.enforcer.release()
    content = None if shown is None else shown.decode("utf-8", errors="replace")
    errand = Errand(kind="offboard", package=content, reason=reason, without_server=without_server)
    agent_errands.done_by_the_agent(agent, errand)


def _release_alone(agent: LocalAgent, shown: bytes | UnsuitablePackageError | None) -> None:
    """Let go of what is enforced although the agent's state is gone; who may is for the applier to say."""
    enforcer = agent.surroundings.enforcer
    if enforcer.look().tenant_id is None:
        agent.surroundings.state.get_identity()  # says in the usual words that there is none
    if isinstance(shown, UnsuitablePackageError):
        raise shown
    enforcer.release(package=None if shown is None else envelope_of(shown))


def _opened(agent: LocalAgent, shown: bytes | UnsuitablePackageError | None) -> Leave | None:
    identity = agent.surroundings.state.get_identity()
    if shown is None:
        return None
    try:
        if isinstance(shown, UnsuitablePackageError):
            raise shown
        return open_leave(shown, identity, PACKAGE_WORDS[THIS_PLATFORM], agent.surroundings.trusted_clock.now())
    except (InvalidPackageError, UnsuitablePackageError) as refusal:
        agent.surroundings.enrolled().offboard.note_refused_package(refusal.code)
        raise


if __name__ == "__main__":
    main()
