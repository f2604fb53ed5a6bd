"""Applications, identity providers and the connector on the command line, against a real server."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.support.command_line import CommandLine

from shieldwall.cli.application_credentials import NoCertificateError, certificate_in


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as administrators have it: the private key and the certificate, one below the other."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "key.der").write_bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "one.der").write_bytes(made.public_bytes(Encoding.DER))
    both = folder / "backup.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + made.public_bytes(Encoding.PEM))
    return both


def test_an_application_is_made_logs_in_is_changed_and_deleted(shieldwall: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "backup.json"
    made = shieldwall("app", "create", "Backup", "--permission", "Group.Read.All", "--out", str(out)).stdout
    secret = json.loads(out.read_text())["clientSecret"]
    assert secret not in made
    assert stat.S_IMODE(out.stat().st_mode) == 0o600

    other = CommandLine(config=tmp_path / "c", app=out, data=shieldwall.data, public_url=shieldwall.public_url)
    other("login", "--app", str(out))
    assert isinstance(other.json("group", "list", "--json"), list)
    assert "[refused]" in other("policy", "list", status=1).stderr

    shown = shieldwall.json("app", "show", "Backup", "--json")
    words = ("--permission", "Device.Read.All", "--redirect-uri", "http://localhost", "--delegated", "Group.Read.All")
    shieldwall("app", "change", shown["appId"], "--name", "Copies", *words)
    changed = shieldwall.json("app", "show", shown["id"], "--json")
    assert changed["displayName"] == "Copies"
    assert changed["shieldwall"]["permissions"] == ["Device.Read.All"]
    assert changed["shieldwall"]["delegatedPermissions"] == ["Group.Read.All"]
    assert changed["web"]["redirectUris"] == ["http://localhost"]
    shieldwall("app", "change", "Copies", "--delegated", "", "--off")
    assert shieldwall.json("app", "show", "Copies", "--json")["shieldwall"]["delegatedPermissions"] == []
    assert "[refused]" in other("group", "list", status=1).stderr
    for asked in (("app", "list"), ("app", "list", "--search", "Copi"), ("app", "show", "Copies")):
        assert shown["appId"] in shieldwall(*asked).stdout
        assert secret not in shieldwall(*asked).stdout
    assert shieldwall.json("app", "list", "--filter", "displayName eq 'Nobody'", "--json") == []

    shieldwall("app", "delete", "Copies", status=1, stdin="n\n")
    shieldwall("app", "delete", "Copies", "--yes")
    assert "no application" in shieldwall("app", "show", "Copies", status=1).stderr


def test_secrets_are_shown_once_and_taken_away(shieldwall: CommandLine, tmp_path: Path) -> None:
    first = shieldwall.json("app", "create", 'O\'Neill: "backup"', "--permission", "Group.Read.All", "--json")
    assert first["secretText"]
    name = first["displayName"]
    second = shieldwall("app", "add-secret", name, "--name", "Second", "--days", "9").stdout
    assert "not shown again" in second
    taken = tmp_path / "taken.json"
    taken.write_text("")
    assert "[fileExists]" in shieldwall("app", "add-secret", name, "--out", str(taken), status=1).stderr
    kept = shieldwall.json("app", "show", name, "--json")["passwordCredentials"]
    assert [each["secretText"] for each in kept] == [None, None], "the file comes before the secret"

    one = next(each["keyId"] for each in kept if each["displayName"] == "Second")
    shieldwall("app", "remove-credential", name, one.upper(), "--yes")
    assert one not in shieldwall("app", "show", name).stdout
    assert "nothing with the id" in shieldwall("app", "remove-credential", name, one, "--yes", status=1).stderr
    assert "Nothing would change" in shieldwall("app", "change", name, status=1).stderr
    refused = shieldwall("app", "create", "Bad", "--permission", "Everything", status=1).stderr
    assert refused.startswith("Could not make the application.")


def test_certificates_stand_beside_each_other(shieldwall: CommandLine, certificate: Path) -> None:
    made = shieldwall.json("app", "create", "Signed", "--certificate", str(certificate), "--json")
    assert "secretText" not in made
    (first,) = made["keyCredentials"]
    shieldwall("app", "remove-credential", "Signed", first["keyId"], "--yes")
    again = shieldwall.json("app", "add-certificate", "Signed", str(certificate.with_name("one.der")), "--json")
    assert again["displayName"] == "one"
    shown = shieldwall.json("app", "show", "Signed", "--json")
    assert [each["keyId"] for each in shown["keyCredentials"]] == [again["keyId"]]
    public = shieldwall.json("app", "create", "Desk", "--public", "--redirect-uri", "http://localhost", "--json")
    assert public["publicClient"]["redirectUris"] == ["http://localhost"]
    assert "no secret" in shieldwall("app", "create", "X", "--public", "--out", "x.json", status=1).stderr


def test_of_a_file_with_a_key_the_certificate_alone_is_read(certificate: Path) -> None:
    assert certificate_in(certificate) == certificate_in(certificate.with_name("one.der"))
    for name in ("key.pem", "key.der", "none"):
        with pytest.raises(NoCertificateError):
            certificate_in(certificate.with_name(name))


def test_an_identity_provider_from_its_first_day_to_its_last(shieldwall: CommandLine, tmp_path: Path) -> None:
    shieldwall("group", "create", "Operators")
    group = next(each for each in shieldwall.json("group", "list", "--json") if each["displayName"] == "Operators")
    words = ("--issuer", "https://id.contoso.example", "--client-id", "shieldwall", "--secret-file", "-")
    made = shieldwall(
        "identity-provider", "create", "Contoso", *words, "--map", "g-1=Operators", "--require-amr", "mfa", stdin="s3\n"
    )
    assert "s3" not in made.stdout
    shown = shieldwall.json("identity-provider", "show", "Contoso", "--json")
    assert (shown["hasClientSecret"], shown["clientSecret"]) == (True, None)
    assert shown["settings"]["groupMappings"] == {"g-1": group["id"]}

    secret = tmp_path / "secret"
    secret.write_text("other\n")
    switched = ("--secret-file", str(secret), "--admission", "mapped", "--off")
    assert "Contoso is off" in shieldwall("identity-provider", "change", "Contoso", *switched).stdout
    changed = shieldwall.json("identity-provider", "show", shown["id"], "--json")
    assert changed["settings"] == shown["settings"] | {"admission": "mapped"}
    assert "Contoso" in shieldwall("identity-provider", "list").stdout
    assert "requiredAmr" in shieldwall("identity-provider", "show", "Contoso").stdout

    secret.write_text("two\nlines\n")
    mistakes: tuple[tuple[tuple[str, ...], str], ...] = (
        (("--secret-file", str(secret)), "one line"),
        (("--secret-file", str(tmp_path / "none")), "cannot be read"),
        (("--map", "x"), "maps nothing"),
        ((), "Nothing would change"),
    )
    for mistake, said in mistakes:
        assert said in shieldwall("identity-provider", "change", "Contoso", *mistake, status=1).stderr
    shieldwall("identity-provider", "delete", "Contoso", status=1, stdin="n\n")
    shieldwall("identity-provider", "delete", "Contoso", "--yes")
    assert "here alone" in shieldwall("identity-provider", "list").stdout


def test_the_connector_is_the_switch_of_this_channel(shieldwall: CommandLine) -> None:
    before = shieldwall.json("connector", "show", "--json")
    try:
        assert shieldwall.json("connector", "set", "--enforce", "--mac", "--json")["macEnabled"]
        shieldwall("connector", "set", "--no-mac", status=1, stdin="n\n")
        assert "macOS:" in shieldwall("connector", "show").stdout
        assert not shieldwall.json("connector", "set", "--no-mac", "--yes", "--json")["macEnabled"]
        assert "Nothing would change" in shieldwall("connector", "set", status=1).stderr
    finally:
        enforces = before["microsoftDefenderForEndpointAttachEnabled"]
        shieldwall("connector", "set", "--enforce" if enforces else "--no-enforce", "--yes")
