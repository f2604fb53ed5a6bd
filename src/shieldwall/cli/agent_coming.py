"""``shieldwall-agent onboard|join``: how a device comes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shieldwall.agent.service.awaiting import AwaitIdentity
from shieldwall.agent.service.errands import Errand
from shieldwall.agent.service.errors import RegistrationPendingError
from shieldwall.agent.service.existing import UnusableExistingError
from shieldwall.agent.service.exit_codes import exit_code
from shieldwall.agent.service.overview import overview
from shieldwall.agent.service.package_file import read_package
from shieldwall.agent.service.proving import authority_of
from shieldwall.agent.service.records import Identity
from shieldwall.agent.service.registering import server_of
from shieldwall.cli import agent_errands
from shieldwall.cli.agent_app import (
    CertificateOption,
    KeyOption,
    RootOption,
    StateOption,
    app,
    places_of,
    prepare,
)
from shieldwall.cli.agent_next import what_is_next
from shieldwall.cli.agent_showing import show_survey
from shieldwall.cli.presentation import printable, speaking_plainly
from shieldwall.trust.onboarding import OnboardingPackage

if TYPE_CHECKING:
    from shieldwall.agent.main import LocalAgent


@app.command(epilog="Example: shieldwall-agent onboard /root/shieldwall_onboarding.json")
def onboard(
    context: typer.Context,
    package: Annotated[Path, typer.Argument(help="The onboarding package, readable for root alone.")],
    *,
    proxy: Annotated[str | None, typer.Option(metavar="URL", help="HTTP proxy on the way to the server.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until an administrator has let this device in.")] = False,
    certificate: CertificateOption = None,
    key: KeyOption = None,
    root: RootOption = None,
    state: StateOption = None,
) -> None:
    """Give this device an identity, with an onboarding package.

    A registration that this machine has in the directory already is used: a full join, or certificate and key of it.
    """
    with speaking_plainly("onboard this device", exit_code=exit_code):
        prepared = prepare(context, root, state)
        agent = prepared.agent
        opened = read_package(package, agent.surroundings.clock.now())  # while we may read what is root's
        _tell_what_awaits(opened)
        if prepared.is_split and agent.surroundings.state.find_identity() is None:
            server = server_of(opened, proxy)
            agent.surroundings.enforcer.adopt(authority=authority_of(server))  # and while we may say whom to obey
        if agent_errands.IS_NEEDED:
            _let_the_agent(agent, "onboard", package=package, proxy=proxy, certificate=certificate, key=key)
            identity = agent.surroundings.state.get_identity()
        else:
            prepared.take_on()
            with agent.lock.held():
                _use_files(agent, certificate, key)
                identity = _onboarded(agent, opened, proxy, wait=wait)
        summary = overview(agent.surroundings, running=False)
    typer.echo(f"This device is onboarded as {identity.device_id}.")
    if identity.registration == "full":
        typer.echo("It uses the registration that it has in the directory.")
    show_survey(summary)
    typer.echo(what_is_next(places_of(context, root, state)[0], is_split=prepared.is_split))


def _tell_what_awaits(package: OnboardingPackage) -> None:
    if package.approval == "manual":
        typer.echo("With this package, an administrator has to let the device in.")
    if package.attestation == "tpm-required":
        typer.echo("With this package, the device has to prove that its key is in a TPM.")


@app.command(epilog="Example: shieldwall-agent join /root/shieldwall_onboarding.json")
def join(
    context: typer.Context,
    package: Annotated[
        Path | None, typer.Argument(help="An onboarding package that allows the full join.", show_default=False)
    ] = None,
    *,
    proxy: Annotated[str | None, typer.Option(metavar="URL", help="HTTP proxy on the way to the server.")] = None,
    certificate: CertificateOption = None,
    key: KeyOption = None,
    root: RootOption = None,
    state: StateOption = None,
) -> None:
    """Register this machine in the directory, or name the registration that it has there.

    A device that is onboarded becomes that registration at its next check-in, one that is not when it onboards. The
    registration stays when the device leaves management. Join again in time, and its certificate is renewed.
    """
    with speaking_plainly("join the directory", exit_code=exit_code):
        prepared = prepare(context, root, state, speaks_as_root=False)
        agent = prepared.agent
        if package is None and certificate is None:
            raise UnusableExistingError("Neither a package nor a certificate is named.")
        opened = None if package is None else read_package(package, agent.surroundings.clock.now())
        if agent_errands.IS_NEEDED:
            _let_the_agent(agent, "join", package=package, proxy=proxy, certificate=certificate, key=key)
            joined = None if opened is None else agent.surroundings.existing.find_join()
        else:
            prepared.take_on()
            _use_files(agent, certificate, key)
            joined = None if opened is None else agent.surroundings.join()(opened, proxy=proxy)
    if joined is None:
        typer.echo(f"This machine uses the registration of {certificate}.")
    else:
        typer.echo(f"This machine is joined as {joined.device_id}.")


@app.command()
def pin(context: typer.Context, root: RootOption = None, state: StateOption = None) -> None:
    """Let the process that enforces obey the tenant that this device is onboarded to. Only root may say so.

    Onboarding as root does that. It is for devices that were onboarded before there was such a process.
    """
    with speaking_plainly("say whom this device obeys", exit_code=exit_code):
        agent = prepare(context, root, state).agent
        server = agent.surroundings.state.get_identity().server
        agent.surroundings.enforcer.adopt(authority=authority_of(server))
    typer.echo(f"This device obeys the tenant {server.tenant_id} at {', '.join(server.urls)}.")


def _let_the_agent(
    agent: LocalAgent,
    kind: Literal["onboard", "join"],
    *,
    package: Path | None,
    proxy: str | None,
    certificate: Path | None,
    key: Path | None,
) -> None:
    """Leave an errand with what was typed; files of a registration are named by where they are."""
    _refuse_half(certificate, key)
    errand = Errand(
        kind=kind,
        package=None if package is None else package.read_text(encoding="utf-8"),
        proxy=proxy,
        certificate=None if certificate is None else str(certificate.absolute()),
        key=None if key is None else str(key.absolute()),
    )
    agent_errands.done_by_the_agent(agent, errand)


def _refuse_half(certificate: Path | None, key: Path | None) -> None:
    if (certificate is None) != (key is None):
        raise UnusableExistingError("A certificate and its key are named together.")


def _use_files(agent: LocalAgent, certificate: Path | None, key: Path | None) -> None:
    _refuse_half(certificate, key)
    if certificate is not None and key is not None:
        agent.surroundings.existing.use_files(certificate, key)


def _onboarded(agent: LocalAgent, package: OnboardingPackage, proxy: str | None, *, wait: bool) -> Identity:
    onboard = agent.surroundings.onboard()
    try:
        return onboard(package, proxy=proxy)
    except RegistrationPendingError as waits:
        if not wait:
            raise
        typer.echo(printable(f"{waits.cause} Waiting ..."))
    waiting = AwaitIdentity(
        onboard=onboard,
        rest=_rest,
        tell=lambda reason: typer.echo(printable(reason.cause), err=True),
        chance=lambda: 0.5,
    )
    identity = waiting()
    assert identity is not None, "nobody breaks off a wait at the command line but by ending it"
    return identity


def _rest(seconds: float) -> bool:
    time.sleep(seconds)
    return True
