"""``shieldwall-agent doctor``: what is wrong with this device, how that shows, what to do."""

from __future__ import annotations

import contextlib
import os
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from shieldwall.agent.doctor.model import ORDER, Check, Severity, Subject
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.opening import NOT_FOLLOWED, OURS_ALONE
from shieldwall.agent.host.running_system import ADMINISTRATOR, own_user
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.exit_codes import DOCTOR_FOUND_ERRORS, DOCTOR_FOUND_WARNINGS, exit_code
from shieldwall.catalog.model import Catalog
from shieldwall.cli.agent_app import JsonOption, Prepared, RootOption, StateOption, app, is_running, prepare
from shieldwall.cli.presentation import printable, show_json, speaking_plainly, waiting
from shieldwall.contract.errors import ShieldwallError

if TYPE_CHECKING:
    from shieldwall.agent.doctor.examine import Diagnosis

_EXIT_CODES: Final = {Severity.ERROR: DOCTOR_FOUND_ERRORS, Severity.WARNING: DOCTOR_FOUND_WARNINGS}
_WORDS: Final = {Severity.ERROR: "ERROR", Severity.WARNING: "WARNING", Severity.INFO: "note", Severity.OK: "ok"}
_COUNTED: Final = {
    Severity.ERROR: ("error", "errors"),
    Severity.WARNING: ("warning", "warnings"),
    Severity.INFO: ("note", "notes"),
    Severity.OK: ("fine", "fine"),
}
_WIDTH: Final = 118
_INDENT: Final = " " * 9


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
    """Examine this device: what is wrong, how that shows, what to do. Changes nothing.

    Returns 10 where there are errors, 13 where there are only warnings, 0 where there is neither.
    """
    from shieldwall.agent.doctor.bundle import bundle as pack  # noqa: PLC0415 - for this command alone
    from shieldwall.agent.doctor.examine import gravest  # noqa: PLC0415 - likewise

    with speaking_plainly("examine this device", as_json=as_json, exit_code=exit_code):
        prepared = prepare(context, root, state, speaks_as_root=False)
        target = None if bundle is None or prepared.user is None else _opened(bundle)
        is_root = own_user() == ADMINISTRATOR
        prepared.take_on()
        with waiting("Examining this device"):
            diagnosis, running = _diagnosed(prepared, is_root=is_root, for_bundle=bundle is not None)
        if bundle is not None:
            packed = pack(diagnosis, running=running, catalog=_catalog(prepared))
            if target is None:
                LocalDisk().write(bundle, packed)
            else:
                with target:
                    target.write(packed)
    if as_json:
        show_json({"checks": diagnosis.checks, "summary": diagnosis.summary})
    else:
        for line in _lines(diagnosis.checks):
            typer.echo(line)
        if bundle is not None:
            typer.echo(f"Written: {bundle}")
    if (code := _EXIT_CODES.get(gravest(diagnosis.checks))) is not None:
        raise typer.Exit(code)


def _diagnosed(prepared: Prepared, *, is_root: bool, for_bundle: bool) -> tuple[Diagnosis, bool]:
    from shieldwall.agent.doctor.examine import diagnose  # noqa: PLC0415 - for this command alone
    from shieldwall.agent.doctor.network_checks import RealNetwork  # noqa: PLC0415 - likewise

    agent = prepared.agent
    running = False
    with contextlib.suppress(OSError, ShieldwallError):  # a lock that cannot be looked at is found by others
        running = is_running(agent)
    subject = Subject(
        host=agent.host,
        surroundings=agent.surroundings,
        network=RealNetwork(),
        free_bytes=lambda path: shutil.disk_usage(path).free,
        mode=lambda path: path.stat().st_mode & 0o7777,
        running=running,
        is_root=is_root,
    )
    return diagnose(subject, inspect="bundle" if for_bundle else "checks"), running


def _catalog(prepared: Prepared) -> Catalog | None:
    try:
        return prepared.agent.catalog
    except ShieldwallError:
        return None  # then what is desired is shown by the policies alone


def _lines(checks: Iterable[Check]) -> Iterator[str]:
    """Write findings for people, the gravest first; what is fine takes one line."""
    ordered = sorted(checks, key=lambda check: -ORDER.index(check.severity))
    counts = [sum(check.severity is each for check in ordered) for each in reversed(ORDER)]
    for check in ordered:
        yield from _told(check)
    words = [
        f"{count} {_COUNTED[each][count != 1]}" for each, count in zip(reversed(ORDER), counts, strict=True) if count
    ]
    yield ""
    yield f"{', '.join(words)}." if words else "Nothing was looked at."


def _told(check: Check) -> Iterator[str]:
    lead = f"{_WORDS[check.severity]:<{len(_INDENT)}}"
    finding = f"{printable(check.finding)} [{check.id}]"
    if check.severity is Severity.OK:
        evidence = f" {printable(check.evidence)}" if check.evidence else ""
        yield from _wrapped(lead, finding + evidence)
        return
    yield from _wrapped(lead, finding)
    if check.evidence:
        yield from _wrapped(f"{_INDENT}Evidence: ", printable(check.evidence))
    if check.remedy:
        yield from _wrapped(f"{_INDENT}To do: ", printable(check.remedy))


def _wrapped(lead: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        width=_WIDTH,
        initial_indent=lead,
        subsequent_indent=_INDENT + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _opened(bundle: Path) -> BinaryIO:
    """Make the file while we are whoever called us, who may write where the agent's user may not."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NOT_FOLLOWED | OURS_ALONE
        return os.fdopen(os.open(bundle, flags, 0o600), "wb")
    except OSError as error:
        raise HostError(f"{bundle} cannot be written: {error.strerror}.") from error
