"""``shieldwall-agent``, the device's command line: it parses, calls and shows. The agent is in ``shieldwall.agent``."""

from __future__ import annotations

import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from shieldwall import __version__
from shieldwall.agent.doctor.bundle import bundle as pack
from shieldwall.agent.doctor.examine import examine, found_errors
from shieldwall.agent.doctor.model import Severity, Subject
from shieldwall.agent.doctor.network_checks import RealNetwork
from shieldwall.agent.main import DEFAULT_ROOT, DEFAULT_STATE, PLATFORM, LocalAgent, local_agent
from shieldwall.agent.service.attest_key import AttestKey
from shieldwall.agent.service.awaiting import AwaitIdentity
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.errors import RegistrationPendingError, TamperProtectedError, UnsuitablePackageError
from shieldwall.agent.service.existing import UnusableExistingError
from shieldwall.agent.service.exit_codes import DOCTOR_FOUND_ERRORS, EXPLAINED, exit_code
from shieldwall.agent.service.lock import ask_to_check_in, ask_to_stop
from shieldwall.agent.service.overview import EffectiveSetting, Overview, age_text, changes, effective, overview
from shieldwall.agent.service.package_file import read_offboarding, read_package
from shieldwall.agent.service.records import Identity
from shieldwall.agent.service.rotating import RotateKey
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.syncing import Sync
from shieldwall.cli.presentation import in_words, printable, show_facts, show_json, show_table, speaking_plainly
from shieldwall.contract.enrollment import EnrollmentCode
from shieldwall.trust.offboarding import OffboardingPackage
from shieldwall.trust.onboarding import InvalidPackageError, OnboardingPackage

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
        agent = _agent(context, root, state)
        opened = read_package(package, agent.surroundings.clock.now())
        _tell_what_awaits(opened)
        with agent.lock.held():
            _use_files(agent, certificate, key)
            identity = _onboarded(agent, opened, proxy, wait=wait)
        summary = overview(agent.surroundings, running=False)
    typer.echo(f"This device is onboarded as {identity.device_id}.")
    if identity.registration == "full":
        typer.echo("It uses the registration that it has in the directory.")
    _show_survey(summary)
    typer.echo("Start the agent with: shieldwall-agent run")


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
        agent = _agent(context, root, state)
        if package is None and certificate is None:
            raise UnusableExistingError("Neither a package nor a certificate is named.")
        opened = None if package is None else read_package(package, agent.surroundings.clock.now())
        _use_files(agent, certificate, key)
        joined = None if opened is None else agent.surroundings.join()(opened, proxy=proxy)
    if joined is None:
        typer.echo(f"This machine uses the registration of {certificate}.")
    else:
        typer.echo(f"This machine is joined as {joined.device_id}.")


@app.command()
def run(context: typer.Context, root: RootOption = None, state: StateOption = None) -> None:
    """Check in and enforce, until stopped. This is what the service runs."""
    root, state = _places(context, root, state)
    with speaking_plainly("run the agent", exit_code=exit_code):
        kept = AgentState(directory=state, disk=LocalDisk())
        if kept.find_pending() is None:  # one that waits to be let in may run, and asks until it is
            kept.get_identity()
    program = [sys.executable, "-I", "-m", "shieldwall.agent.main", str(root.absolute()), str(state.absolute())]
    # Another process image, without what a command line needs; and nothing of the caller's environment steers it.
    os.execve(sys.executable, program, {"LANG": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})  # noqa: S606 - words, no shell


@app.command()
def sync(
    context: typer.Context, as_json: JsonOption = False, root: RootOption = None, state: StateOption = None
) -> None:
    """Check in now, and show what changed. Works beside a running agent."""
    with speaking_plainly("check in", as_json=as_json, exit_code=exit_code):
        agent = _agent(context, root, state)
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


@app.command()
def status(
    context: typer.Context, as_json: JsonOption = False, root: RootOption = None, state: StateOption = None
) -> None:
    """Show where this device stands."""
    with speaking_plainly("read where this device stands", as_json=as_json, exit_code=exit_code):
        agent = _agent(context, root, state)
        summary = overview(agent.surroundings, running=_running(agent))
    if as_json:
        show_json(summary)
        return
    if not summary.onboarded:
        typer.echo("This device is not onboarded.")
        if summary.waiting:
            typer.echo("It has asked to be let in, and waits. The running agent asks again until that is decided.")
        _show_survey(summary)
        return
    now = agent.surroundings.trusted_clock.now()
    show_facts(
        (
            ("Device", summary.device_id),
            ("Registration", summary.registration),
            ("Tenant", summary.tenant_id),
            ("Server", ", ".join(summary.servers)),
            ("Agent", "running" if summary.running else "not running"),
            ("Device key", "in the TPM" if summary.key_protection == "tpm" else "in a file"),
            ("Managed elsewhere", summary.managed_elsewhere or "no"),
            ("Enrollment", f"{summary.enrollment.code}: {summary.enrollment.cause}"),
            ("Last check-in", age_text(summary.last_check_in, now)),
            (
                "Policies",
                ", ".join(f"{each.name} (revision {each.revision})" for each in summary.policies) or "none",
            ),
            ("Settings", ", ".join(f"{count} {word}" for word, count in summary.settings.items()) or "none"),
            ("Tamper protection", _protection(summary)),
            (
                "In effect",
                "yes"
                if summary.target == summary.enforced
                else "not yet: the newest policies are still to be enforced",
            ),
        )
    )
    _show_survey(summary)
    for refused in summary.refused:
        typer.echo(f"Refused policy {refused.policy_id}: {printable(refused.cause)} [{printable(refused.code)}]")
    if summary.trouble is not None:
        typer.echo(f"Trouble since {summary.trouble.since}: {printable(summary.trouble.cause)}")
        typer.echo(f"What to do: {printable(summary.trouble.remedy)}")


@app.command("rotate-key")
def rotate_key(context: typer.Context, root: RootOption = None, state: StateOption = None) -> None:
    """Change the device key now; the old one is refused from then on. Works beside a running agent.

    The agent does so by itself every two years.
    """
    with speaking_plainly("change the device key", exit_code=exit_code):
        agent = _agent(context, root, state)
        sync = Sync(surroundings=agent.surroundings, lock=agent.lock, monotonic=time.monotonic, sleep=time.sleep)
        thumbprint = RotateKey(state=agent.surroundings.state, sync=sync)()
    typer.echo(f"The device key is {thumbprint} now.")


@app.command("attest")
def attest_key(context: typer.Context, root: RootOption = None, state: StateOption = None) -> None:
    """Prove to the server anew that the device key is in this machine's TPM. Works beside a running agent.

    The agent does so by itself when it onboards and when it has a new key.
    """
    with speaking_plainly("attest the device key", exit_code=exit_code):
        agent = _agent(context, root, state)
        sync = Sync(surroundings=agent.surroundings, lock=agent.lock, monotonic=time.monotonic, sleep=time.sleep)
        AttestKey(state=agent.surroundings.state, sync=sync)()
    typer.echo("The TPM has spoken for the device key; the server shows the attestation level.")


@app.command("effective")
def show_effective(
    context: typer.Context, as_json: JsonOption = False, root: RootOption = None, state: StateOption = None
) -> None:
    """Show, setting by setting, what is in effect, and which policy says so."""
    with speaking_plainly("read what is in effect", as_json=as_json, exit_code=exit_code):
        agent = _agent(context, root, state)
        found = effective(agent.surroundings, agent.catalog)
    if as_json:
        show_json(found)
        return
    show_table(
        ("Setting", "Value", "State", "Provider", "Policy", "Written", "Read back", "Effective"),
        [_row(setting) for setting in found.settings],
        empty="No policy speaks about this device yet.",
    )
    for refused in found.refused:
        typer.echo(f"Refused policy {refused.policy_id}: {printable(refused.cause)} [{printable(refused.code)}]")


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
        agent = _agent(context, root, state)
        opened = _opened(agent, package)
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
    typer.echo("This device is out of management; its settings are as they were before.")


@app.command()
def doctor(
    context: typer.Context,
    as_json: JsonOption = False,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", metavar="FILE", help="Write a zip without secrets for support.")
    ] = None,
    root: RootOption = None,
    state: StateOption = None,
) -> None:
    """Examine this device: what is wrong, how that shows, what to do."""
    with speaking_plainly("examine this device", as_json=as_json, exit_code=exit_code):
        agent = _agent(context, root, state)
        running = _running(agent)
        checks = examine(
            Subject(
                host=agent.host,
                providers=agent.providers,
                surroundings=agent.surroundings,
                network=RealNetwork(),
                free_bytes=lambda path: shutil.disk_usage(path).free,
                mode=lambda path: path.stat().st_mode & 0o7777,
                running=running,
            )
        )
        if bundle is not None:
            LocalDisk().write(bundle, pack(agent.surroundings, checks, running=running))
    if as_json:
        show_json({"checks": checks})
    else:
        words = {Severity.OK: "ok", Severity.WARNING: "look at", Severity.ERROR: "wrong"}
        show_table(
            ("", "Finding", "Evidence", "What to do"),
            [(words[check.severity], check.finding, check.evidence, check.remedy) for check in checks],
        )
        if bundle is not None:
            typer.echo(f"Written: {bundle}")
    if found_errors(checks):
        raise typer.Exit(DOCTOR_FOUND_ERRORS)


@app.command()
def version() -> None:
    """Print the agent's version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line."""
    app()


def _use_files(agent: LocalAgent, certificate: Path | None, key: Path | None) -> None:
    if (certificate is None) != (key is None):
        raise UnusableExistingError("A certificate and its key are named together.")
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


def _agent(context: typer.Context, root: Path | None, state: Path | None) -> LocalAgent:
    root, state = _places(context, root, state)
    return local_agent(root, state, sys.stderr)


def _places(context: typer.Context, root: Path | None, state: Path | None) -> tuple[Path, Path]:
    before: Places = context.obj
    return root or before.root or DEFAULT_ROOT, state or before.state or DEFAULT_STATE


def _opened(agent: LocalAgent, package: Path | None) -> OffboardingPackage | None:
    identity = agent.surroundings.state.get_identity()
    if package is None:
        return None
    try:
        return read_offboarding(package, identity, PLATFORM, agent.surroundings.trusted_clock.now())
    except (InvalidPackageError, UnsuitablePackageError) as refusal:
        agent.surroundings.enrolled().offboard.note_refused_package(refusal.code)
        raise


def _running(agent: LocalAgent) -> bool:
    holder = agent.lock.holder()
    return holder is not None and holder.running


def _show_survey(summary: Overview) -> None:
    """Say who else manages this device, or why it cannot be managed, and what gave that away."""
    for sign in summary.survey:
        typer.echo(f"{printable(sign.finding)} ({printable(sign.evidence)})")
    if summary.is_passive:
        typer.echo("The agent stays passive: it reports, nothing new is taken and nothing put back.")
    enrollment = summary.enrollment
    unmanaged = enrollment.code not in {EnrollmentCode.MANAGED, EnrollmentCode.NOT_ENROLLED} and summary.survey
    if unmanaged or (enrollment.told and enrollment.code != EnrollmentCode.MANAGED):
        typer.echo(f"What to do: {enrollment.remedy}")


def _protection(summary: Overview) -> str:
    if summary.leaving:
        return "off: this device is about to leave management"
    words = "on" if summary.protected else "off"
    if summary.troubleshooting_until is None:
        return words
    return f"{words}; troubleshooting until {summary.troubleshooting_until}: nothing is enforced or put back"


def _row(setting: EffectiveSetting) -> tuple[str, ...]:
    state = setting.state.value if setting.reason is None else f"{setting.state.value}: {setting.reason}"
    return (
        setting.name,
        in_words(setting.value),
        state,
        setting.provider or "",
        ", ".join(policy.name for policy in setting.policies),
        "yes" if setting.written else "no",
        in_words(setting.read_back),
        {True: "yes", False: "no", None: "not probed"}[setting.effective],
    )
