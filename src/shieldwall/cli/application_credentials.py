"""Secrets and certificates of applications: given, shown once, taken away."""

from __future__ import annotations

from base64 import b64encode
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer

from shieldwall.cli.completion import complete_application
from shieldwall.cli.graph_session import GraphSession, connected
from shieldwall.cli.listing import text_of
from shieldwall.cli.logins import AppLogin, load_login, stored_login
from shieldwall.cli.moments import moment_in_words, present
from shieldwall.cli.names import is_id
from shieldwall.cli.options import JsonOption, YesOption
from shieldwall.cli.presentation import show_facts, show_json, speaking_plainly
from shieldwall.cli.private_files import new_private_file
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode

APPLICATIONS: Final = "/v1.0/applications"
AppArgument = Annotated[
    str,
    typer.Argument(help="Id, client id or exact name of the application.", autocompletion=complete_application),
]
_TEXT: Final = b"-----BEGIN "
_DAYS: Final = 180
_LONGEST_DAYS: Final = 730


class NoCertificateError(ShieldwallError):
    """A file that shall hold a certificate holds none."""

    code = "noCertificate"
    remedy = "Name a file with the certificate, PEM or DER; its private key stays where it is."


def add_secret(
    application: AppArgument,
    *,
    name: Annotated[str, typer.Option("--name", help="What the secret is called.")] = "Secret",
    days: Annotated[int, typer.Option("--days", min=1, max=_LONGEST_DAYS, help="How long the secret is good.")] = _DAYS,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write a login with it here, for you alone, and do not show it.", dir_okay=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Give an application one more secret, shown this once or written to a file; those that it has stay good.

    Example: shieldwall app add-secret Backup --days 90 --out backup.json
    """
    with speaking_plainly("add the secret", as_json=as_json), connected() as session:
        found = find_application(session, application)
        with nullcontext() if out is None else new_private_file(out) as file:
            made = give_secret(session, found, name, days=days, file=file)
    if out is not None:
        made["secretText"] = None
    if as_json:
        show_json(made)
        return
    facts = [("Id", made["keyId"]), ("Ends", moment_in_words(made["endDateTime"], present()))]
    show_facts(facts if out is not None else [("Secret", made["secretText"]), *facts])
    typer.echo("Keep the secret now: it is not shown again." if out is None else f"A login with it is in {out}.")


def add_certificate(
    application: AppArgument,
    certificate: Annotated[Path, typer.Argument(help="PEM or DER.", dir_okay=False)],
    *,
    name: Annotated[str | None, typer.Option("--name", help="What the certificate is called.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Let an application show who it is by a certificate, whose key it keeps to itself.

    Example: shieldwall app add-certificate Backup backup.pem
    """
    with speaking_plainly("add the certificate", as_json=as_json), connected() as session:
        key = certificate_in(certificate)
        found = find_application(session, application)
        kept = [{"keyId": each["keyId"]} for each in found["keyCredentials"]]
        added = {"key": key, "displayName": name or certificate.stem}
        session.call("PATCH", f"{APPLICATIONS}/{found['id']}", {"keyCredentials": [*kept, added]})
        changed = session.call("GET", f"{APPLICATIONS}/{found['id']}")
    before = {each["keyId"] for each in kept}
    made = next(each for each in changed["keyCredentials"] if each["keyId"] not in before)
    if as_json:
        show_json(made)
    else:
        show_facts([("Id", made["keyId"]), ("Ends", moment_in_words(made["endDateTime"], present()))])


def remove_credential(
    application: AppArgument,
    credential: Annotated[str, typer.Argument(help="Id of the secret or certificate, as 'app show' lists it.")],
    *,
    yes: YesOption = False,
) -> None:
    """Take a secret or certificate away; every token that the application was handed is worth nothing from now on.

    Example: shieldwall app remove-credential Backup 3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f --yes
    """
    with speaking_plainly("remove the credential"), connected() as session:
        found, wanted = find_application(session, application), credential.lower()
        certificates = [each["keyId"] for each in found["keyCredentials"]]
        if wanted not in {*certificates, *(each["keyId"] for each in found["passwordCredentials"])}:
            raise ShieldwallError(
                f"The application has nothing with the id {credential!r}.", remedy="See: shieldwall app show."
            )
        if not yes:
            typer.confirm("Its tokens end with it. Take it away?", abort=True)
        path = f"{APPLICATIONS}/{found['id']}"
        if wanted in certificates:
            session.call(
                "PATCH", path, {"keyCredentials": [{"keyId": each} for each in certificates if each != wanted]}
            )
        else:
            session.call("POST", f"{path}/removePassword", {"keyId": wanted})
    typer.echo("It is gone, and every token of the application with it.")


def find_application(session: GraphSession, wanted: str) -> dict[str, Any]:
    """Find an application by its id, client id or exact name. Raises: ShieldwallError when none or several fit."""
    named = f"displayName eq {text_of(wanted)}"
    query = {"$filter": f"id eq {wanted} or appId eq {wanted}" if is_id(wanted) else named}
    fitting = list(session.pages(APPLICATIONS, query=query))
    found = fitting if is_id(wanted) else [each for each in fitting if each["displayName"] == wanted]
    if len(found) == 1:
        application: dict[str, Any] = found[0]
        return application
    if not found:
        raise ShieldwallError(f"There is no application {wanted!r}.", remedy="List them: shieldwall app list.")
    raise ShieldwallError(f"{len(found)} applications are named {wanted!r}.", remedy="Use the client id instead.")


def give_secret(
    session: GraphSession, application: dict[str, Any], name: str, *, days: int = _DAYS, file: BinaryIO | None
) -> dict[str, Any]:
    """Give an application a secret, and write a login with it where there is a file.

    Raises: RefusedError, ServerUnreachableError: With a note where the application is there and has no secret.
    """
    ends = f"{present() + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
    wanted = {"passwordCredential": {"displayName": name, "endDateTime": ends}}
    try:
        made: dict[str, Any] = session.call("POST", f"{APPLICATIONS}/{application['id']}/addPassword", wanted)
    except ShieldwallError as error:
        error.add_note(f"The application {application['appId']} is there, without this secret.")
        raise
    if file is not None:
        file.write(encode(_login(application["appId"], made["secretText"])) + b"\n")
    return made


def certificate_in(path: Path) -> str:
    """Read the first certificate in a file and return its DER in base64; nothing else of the file goes anywhere.

    Raises: NoCertificateError.
    """
    from cryptography import x509  # noqa: PLC0415 - takes longer to import than --help to print
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - as above

    try:
        content = path.read_bytes()
    except OSError as error:
        raise NoCertificateError(f"{path} cannot be read: {error.strerror}.") from None
    read = x509.load_pem_x509_certificate if _TEXT in content else x509.load_der_x509_certificate
    try:
        return b64encode(read(content).public_bytes(Encoding.DER)).decode()
    except ValueError:
        raise NoCertificateError(f"{path} holds no certificate that can be read.") from None


def _login(client_id: str, secret: str) -> AppLogin:
    """Write a login for another application, to the server that this one leads to."""
    kept = load_login(stored_login())
    return AppLogin(
        tenant_id=kept.tenant_id if isinstance(kept, AppLogin) else kept.authority.rpartition("/")[2],
        client_id=client_id,
        client_secret=secret,
        authority=kept.authority,
        graph=kept.graph,
        certificate_authority=kept.certificate_authority,
    )
