"""``shieldwall server tls``: the certificate that a server shows (on the server's own console)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.presentation import show_facts, show_json, speaking_plainly
from shieldwall.cli.server_tenants import DataOption
from shieldwall.trust import moments

if TYPE_CHECKING:
    from shieldwall.server.configuration.served_certificate import ServedCertificate

app: Final = typer.Typer(no_args_is_help=True, help="The certificate that the server shows.")


@app.command("show")
def show(data: DataOption, *, as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False) -> None:
    """Show for which names the certificate is, until when, and whether the server renews it by itself."""
    from shieldwall.server.configuration import served_certificate, settings  # noqa: PLC0415 - only needed here

    with speaking_plainly("look at the certificate"):
        found = served_certificate.look(settings.load(data))
    if as_json:
        show_json(
            {
                "names": found.names,
                "begins": moments.write(found.begins),
                "ends": moments.write(found.ends),
                "authorityEnds": None if found.authority_ends is None else moments.write(found.authority_ends),
            }
        )
    else:
        show_facts(_facts(found))


@app.command("renew")
def renew(
    data: DataOption,
    name: Annotated[
        list[str] | None, typer.Option(help="A further name or address of the server; may be repeated.")
    ] = None,
) -> None:
    """Have the local authority issue another certificate for the same key. Devices do not notice."""
    from shieldwall.server.configuration import served_certificate, settings  # noqa: PLC0415 - only needed here
    from shieldwall.server.system import SystemClock  # noqa: PLC0415 - only needed here

    with speaking_plainly("renew the certificate"):
        found = served_certificate.renew(settings.load(data), SystemClock().now(), name or ())
    typer.echo(f"The certificate is good until {_in_words(found.ends)}, for {', '.join(found.names)}.")
    typer.echo("Next: restart the server. Its further machines need a copy of tls/server.pem, and a restart.")


def _facts(found: ServedCertificate) -> Iterator[tuple[str, str]]:
    yield "Names", ", ".join(found.names) or "none"
    yield "Good", f"{_in_words(found.begins)} to {_in_words(found.ends)}"
    if found.authority_ends is None:
        yield "Issued by", "another authority than the local one; see to it that it is renewed"
    else:
        yield "Issued by", f"the local authority, which ends {_in_words(found.authority_ends)}"
        yield "Renewed", "by a start of the server in the last 120 days, or by `shieldwall server tls renew`"


def _in_words(moment: datetime) -> str:
    return moment_in_words(moments.write(moment), present())
