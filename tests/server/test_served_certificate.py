"""The certificate that a server shows is renewed in time, with its key and names, and only where that can be done."""

from __future__ import annotations

import errno
import json
import os
import shutil
import ssl
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support import loaded_server
from tests.support.command_line import on_console
from tests.support.ports import free_port
from typer.testing import CliRunner

from shieldwall.cli.shieldwall import app
from shieldwall.server.configuration import served_certificate
from shieldwall.server.configuration.served_certificate import (
    RENEW_BEFORE,
    CertificateOfOthersError,
    NotTheServersUserError,
    UnreadableCertificateError,
    look,
    renew,
    renew_if_due,
)
from shieldwall.server.configuration.settings import ServerSettings, load, write_private
from shieldwall.server.system import SystemClock
from shieldwall.trust.certificates import SERVER_DAYS, LocalAuthority

ALWAYS = ("localhost", "127.0.0.1", "::1")


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    data = tmp_path / "data"
    urls = (
        "--public-url",
        f"https://sdm.contoso.example:{free_port()}",
        "--gateway-url",
        f"https://10.0.0.7:{free_port()}",
    )
    on_console("server", "init", "--data", str(data), *urls)
    return load(data)


def shown(settings: ServerSettings) -> x509.Certificate:
    return x509.load_pem_x509_certificates(settings.tls_certificate.read_bytes())[0]


def public(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def due(settings: ServerSettings) -> datetime:
    return look(settings).ends - RENEW_BEFORE


def issue(settings: ServerSettings, days: int, now: datetime | None = None) -> None:
    """Show a certificate of the local authority that is good for so many days."""
    authority = LocalAuthority.from_pem(settings.tls_authority_key.read_bytes(), settings.tls_authority.read_bytes())
    chain, key = authority.issue_server(["sdm.contoso.example"], now or SystemClock().now(), days)
    write_private(settings.tls_key, key.encode())
    write_private(settings.tls_certificate, chain.encode())


def is_trusted(settings: ServerSettings, name: str) -> bool:
    """Let a server with what is on disk and a device shake hands in memory; who does not trust the other raises."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(settings.tls_certificate, settings.tls_key)
    device = ssl.create_default_context(cafile=str(settings.tls_authority))
    to_server, to_device = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        device.wrap_bio(to_device, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_device, server_side=True),
    )
    done: set[int] = set()
    for _ in range(8):
        for number, end in enumerate(ends):
            try:
                end.do_handshake()
                done.add(number)
            except ssl.SSLWantReadError:
                continue
    return done == {0, 1}


def test_it_is_renewed_once_and_in_time_with_its_key_and_names(settings: ServerSettings) -> None:
    before, at = shown(settings), due(settings)
    assert renew_if_due(settings, at - timedelta(seconds=1)) is None
    assert shown(settings) == before

    renewed = renew_if_due(settings, at)

    assert renewed == look(settings)
    assert set(renewed.names) == {*ALWAYS, "sdm.contoso.example", "10.0.0.7"}
    assert renewed.ends == at + timedelta(days=SERVER_DAYS)
    assert public(shown(settings)) == public(before)
    assert renew_if_due(settings, at) is None


def test_a_name_can_be_added_and_none_is_lost_or_doubled(settings: ServerSettings) -> None:
    now = SystemClock().now()
    before = look(settings).names

    renew(settings, now, ["new.contoso.example", "fd00::7", "localhost"])

    assert look(settings).names.count("localhost") == 1
    assert set(look(settings).names) == {*before, "new.contoso.example", "fd00::7"}
    assert all(is_trusted(settings, name) for name in look(settings).names)


def test_one_of_another_authority_is_left_alone(settings: ServerSettings) -> None:
    now = SystemClock().now()
    chain, key = LocalAuthority.create(now).issue_server([], now, 30)
    write_private(settings.tls_key, key.encode())
    write_private(settings.tls_certificate, chain.encode())

    assert look(settings).authority_ends is None
    assert renew_if_due(settings, now) is None
    with pytest.raises(CertificateOfOthersError):
        renew(settings, now)
    assert settings.tls_certificate.read_text() == chain


def test_a_machine_without_the_key_of_the_authority_leaves_it_alone(settings: ServerSettings) -> None:
    at = due(settings)
    settings.tls_authority_key.unlink()

    assert renew_if_due(settings, at) is None
    with pytest.raises(CertificateOfOthersError):
        renew(settings, at)


def test_nothing_outlives_the_authority_and_it_is_not_tried_for_nothing(settings: ServerSettings) -> None:
    found = look(settings)
    assert found.authority_ends is not None
    late = found.authority_ends - timedelta(days=10)
    issue(settings, 400, late)

    assert look(settings).ends == found.authority_ends
    assert renew_if_due(settings, late) is None


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_one_that_somebody_made_with_openssl_is_renewed_too_and_devices_trust_it(settings: ServerSettings) -> None:
    made = (
        "openssl req -new -newkey rsa:2048 -nodes -subj /CN=Shieldwall -addext subjectAltName=DNS:sdm.contoso.example "
        "-addext extendedKeyUsage=serverAuth -keyout server.key -out server.csr && "
        "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -days 30 -copy_extensions copy -out server.pem"
    )
    subprocess.run(["bash", "-euc", made], cwd=settings.tls_key.parent, check=True, capture_output=True)

    assert renew_if_due(settings, SystemClock().now()) is not None

    assert is_trusted(settings, "sdm.contoso.example")


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff"])
def test_what_cannot_be_read_is_named_and_stays(settings: ServerSettings, content: bytes) -> None:
    settings.tls_certificate.write_bytes(content)

    with pytest.raises(UnreadableCertificateError, match=r"server\.pem"):
        look(settings)
    assert renew_if_due(settings, SystemClock().now()) is None
    assert settings.tls_certificate.read_bytes() == content


def test_a_name_that_is_none_is_refused_and_the_certificate_stays(settings: ServerSettings) -> None:
    before = settings.tls_certificate.read_bytes()

    with pytest.raises(UnreadableCertificateError):
        renew(settings, SystemClock().now(), ["müller.example"])

    assert settings.tls_certificate.read_bytes() == before


@pytest.mark.root
def test_somebody_else_than_the_servers_user_writes_nothing_that_it_could_not_read(settings: ServerSettings) -> None:
    before = settings.tls_certificate.read_bytes()
    os.chown(settings.tls_certificate, 64_000, 64_000)

    with pytest.raises(NotTheServersUserError):
        renew(settings, SystemClock().now())

    assert settings.tls_certificate.read_bytes() == before
    assert settings.tls_certificate.stat().st_uid == 64_000


def test_a_full_disk_leaves_the_certificate_that_was_there(
    settings: ServerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = settings.tls_certificate.read_bytes()
    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(UnreadableCertificateError, match="No space"):
        renew(settings, SystemClock().now())

    assert settings.tls_certificate.read_bytes() == before


def test_a_start_shows_the_renewed_one(settings: ServerSettings, tmp_path: Path) -> None:
    issue(settings, 30)

    with (tmp_path / "log").open("w+") as log, loaded_server.serving(settings.data, log) as said:
        assert said
        certificate = x509.load_pem_x509_certificate(
            ssl.get_server_certificate(("localhost", settings.public_port)).encode()
        )
        log.seek(0)
        events = [json.loads(line)["event"] for line in log.read().splitlines()]

    assert certificate.not_valid_after_utc > SystemClock().now() + timedelta(days=SERVER_DAYS - 1)
    assert "certificate_renewed" in events


def test_a_start_goes_on_where_it_cannot_be_renewed(settings: ServerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UnreadableCertificateError("The disk is full.")

    monkeypatch.setattr(served_certificate, "write_private", refuse)
    issue(settings, 30)
    with pytest.raises(UnreadableCertificateError):
        renew_if_due(settings, SystemClock().now())

    from shieldwall.server.processes import running  # noqa: PLC0415 - only here

    running._renew_certificate(settings)  # says it, and lets the server start


def test_the_console_shows_and_renews_it(settings: ServerSettings) -> None:
    def console(*words: str) -> str:
        done = CliRunner().invoke(app, ["server", "tls", *words, "--data", str(settings.data)])
        assert done.exit_code == 0, done.output
        return done.output

    issue(settings, 30)
    before = json.loads(console("show", "--json"))
    assert "local authority" in console("show")

    said = console("renew", "--name", "new.contoso.example")

    after = json.loads(console("show", "--json"))
    assert "restart the server" in said
    assert set(after["names"]) == {*before["names"], "new.contoso.example"}
    assert after["ends"] > before["ends"]
    assert after["authorityEnds"] == before["authorityEnds"] is not None
