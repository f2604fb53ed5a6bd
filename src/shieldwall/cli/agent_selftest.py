"""``shieldwall-agent selftest``: asks this machine all that providers ask, and records it for tests to replay."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from msgspec.structs import replace

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.running_system import boot_id, seconds_since_boot
from shieldwall.agent.platforms import catalog_of
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.exit_codes import exit_code
from shieldwall.cli.agent_app import JsonOption, RootOption, app, places_of
from shieldwall.cli.presentation import printable, show_json, show_table, speaking_plainly

if TYPE_CHECKING:
    from shieldwall.agent.applier.grounds import Ground
    from shieldwall.agent.selftest.asking import Result
    from shieldwall.agent.selftest.recorder import Notes

TROUBLE: int = 10
"""The exit code where something went wrong, as of the doctor."""


@app.command()
def selftest(
    context: typer.Context,
    *,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE", help="Write questions and answers, without names.")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Also write what nobody reads, read it back and take it away.")
    ] = False,
    as_json: JsonOption = False,
    root: RootOption = None,
) -> None:
    """Ask this machine everything that is asked when policies are enforced. Changes nothing without --apply.

    Returns 10 where something went wrong. Run it as root, or as administrator.
    """
    from shieldwall.agent.selftest.asking import SelfTest, tried  # noqa: PLC0415 - for this command alone
    from shieldwall.agent.selftest.recorder import Notes  # noqa: PLC0415 - likewise
    from shieldwall.agent.selftest.recording import write  # noqa: PLC0415 - likewise
    from shieldwall.agent.selftest.redacting import Redaction  # noqa: PLC0415 - likewise

    with speaking_plainly("test this machine", as_json=as_json, exit_code=exit_code):
        root, _ = places_of(context, root, None)
        notes = Notes()
        real, seen, ground = _machine(root, notes)
        catalog = catalog_of(ground.platform)
        result = SelfTest(host=seen, looking=ground.looking, providers=ground.providers(catalog), catalog=catalog)()
        if apply:
            result = replace(result, trial=tried(real, ground.platform))
        if record is not None:
            redaction = Redaction.of([result.facts.display_name, result.facts.display_name.partition(".")[0]])
            LocalDisk().write(record.absolute(), write(notes.recording(ground.platform, catalog.version, redaction)))
    if as_json:
        show_json(msgspec.to_builtins(result))
    else:
        _show(result, record)
    if not result.is_good:
        raise typer.Exit(TROUBLE)


if sys.platform == "win32":

    def _machine(root: Path, notes: Notes) -> tuple[Host, Host, Ground]:  # noqa: ARG001 - there is one machine there
        """Return the machine itself, the machine that notes what it is asked, and the ground upon the latter."""
        from shieldwall.agent.applier.grounds import windows_ground  # noqa: PLC0415 - for this command alone
        from shieldwall.agent.providers.registry import Management  # noqa: PLC0415 - likewise
        from shieldwall.agent.selftest.recorder import RecordingCim, RecordingHost  # noqa: PLC0415 - likewise
        from shieldwall.agent.windows.building import this_machine  # noqa: PLC0415 - for Windows alone

        machine = this_machine()
        seen = RecordingHost(machine.host, notes)
        management = Management(cim=RecordingCim(machine.management.cim, notes), refusals=machine.management.refusals)
        return machine.host, seen, windows_ground(seen, management, boot_id=boot_id, uptime=seconds_since_boot)

else:

    def _machine(root: Path, notes: Notes) -> tuple[Host, Host, Ground]:
        """Return the machine itself, the machine that notes what it is asked, and the ground upon the latter."""
        from shieldwall.agent.applier.grounds import ground_of_this_system  # noqa: PLC0415 - for this command alone
        from shieldwall.agent.main import SystemClock  # noqa: PLC0415 - likewise
        from shieldwall.agent.selftest.recorder import RecordingHost  # noqa: PLC0415 - likewise

        host = LocalHost(root)
        seen = RecordingHost(host, notes)
        return host, seen, ground_of_this_system(seen, SystemClock())


def _show(result: Result, record: Path | None) -> None:
    facts = result.facts
    typer.echo(printable(f"{facts.os_type}: {facts.os_version}, {facts.architecture}"))
    if result.join is not None:
        typer.echo(f"Joined to a directory: {result.join}.")
    if result.managed_elsewhere is not None:
        typer.echo(printable(f"Managed by {result.managed_elsewhere}: the agent would stay passive."))
    if result.unsuitable is not None:
        typer.echo(f"This machine cannot be managed: {result.unsuitable}.")
    show_table(
        ("Provider", "Product", "Takes", "Does not take", "Read", "Trouble"),
        [
            (
                asked.provider,
                printable(asked.version or "not here"),
                str(len(asked.supported)),
                str(len(asked.refused)),
                str(asked.readable),
                str(len(asked.trouble)) if asked.trouble else "",
            )
            for asked in result.providers
        ],
        empty="There are no providers for this machine.",
    )
    for asked in result.providers:
        for reason, count in sorted(asked.reasons.items()):
            typer.echo(printable(f"{asked.provider}: {count} times: {reason}"))
        for trouble in asked.trouble:
            typer.echo(printable(f"{asked.provider}: {trouble}"), err=True)
    if result.trial is not None:
        typer.echo(printable(result.trial) if result.trial else "The trial came back as written, and went as it came.")
    if record is not None:
        typer.echo(f"The recording is in {record}; look through it before you send it to anybody.")
