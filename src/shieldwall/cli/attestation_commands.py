"""``shieldwall attestation``: whose TPMs are trusted, maker by maker or one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from shieldwall.cli.graph_session import connected
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.options import JsonOption
from shieldwall.cli.presentation import show_facts, show_json, show_table, speaking_plainly
from shieldwall.contract.errors import ShieldwallError

app: Final = typer.Typer(no_args_is_help=True, help="Attestation: whose TPMs are trusted.")

ENDORSEMENTS: Final = "/beta/deviceManagement/endorsements"
NameOption = Annotated[str, typer.Option("--name", help="What to call it.")]


@app.command("list")
def list_endorsements(*, as_json: JsonOption = False) -> None:
    """List the makers and the single TPMs that are trusted.

    Example: shieldwall attestation list
    """
    with speaking_plainly("list the endorsements", as_json=as_json), connected() as session:
        found = list(session.pages(ENDORSEMENTS))
    if as_json:
        show_json(found)
        return
    rows = [
        (each["displayName"], each["kind"], each["subject"] or each["endorsementKeyHash"], each["id"]) for each in found
    ]
    show_table(("Name", "Kind", "Subject or hash", "Id"), rows)


@app.command("trust-maker")
def trust_maker(
    certificate: Annotated[Path, typer.Argument(help="Certificate of the maker's authority, PEM.")], *, name: NameOption
) -> None:
    """Trust every TPM that this authority certifies: devices that attest from now on are at level tpm.

    Example: shieldwall attestation trust-maker infineon-root.pem --name Infineon
    """
    with speaking_plainly("trust the maker"), connected() as session:
        try:
            text = certificate.read_text("ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise ShieldwallError(
                f"{certificate} cannot be read: {error}.", remedy="Name a file that holds one certificate in PEM."
            ) from None
        made = session.call("POST", ENDORSEMENTS, {"displayName": name, "certificate": text})
    expires = moment_in_words(made["expirationDateTime"], present())
    show_facts([("Trusted", made["subject"]), ("Expires", expires), ("Id", made["id"])])


@app.command("trust-tpm")
def trust_tpm(
    endorsement_key_hash: Annotated[
        str, typer.Argument(help="SHA-256 of the TPM's endorsement key; shieldwall-agent doctor shows it.")
    ],
    *,
    name: NameOption,
) -> None:
    """Trust one TPM: the device that has proven to hold it is at level tpm at once.

    Example: shieldwall attestation trust-tpm --name web-01 HASH
    """
    with speaking_plainly("trust the TPM"), connected() as session:
        body = {"displayName": name, "endorsementKeyHash": endorsement_key_hash}
        made = session.call("POST", ENDORSEMENTS, body)
    show_facts([("Trusted", made["endorsementKeyHash"]), ("Id", made["id"])])


@app.command("distrust")
def distrust(endorsement: Annotated[str, typer.Argument(help="Id of the endorsement.")]) -> None:
    """Trust a maker or a TPM no more.

    Example: shieldwall attestation distrust 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f
    """
    with speaking_plainly("remove the endorsement"), connected() as session:
        session.call("DELETE", f"{ENDORSEMENTS}/{endorsement}")
    typer.echo("Removed.")
