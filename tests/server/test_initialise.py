from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.databases import database_url

from shieldwall.server.configuration import settings as settings_file
from shieldwall.server.configuration.settings import ServerSettings
from shieldwall.server.console.initialise import AlreadyInitialisedError, DatabaseTakenError, Initialise
from shieldwall.server.signer.keys import load_keys
from shieldwall.server.storage.engine import migrate
from shieldwall.server.storage.engine.database import Database, StorageUnavailableError
from shieldwall.server.storage.tenants import tenants
from shieldwall.server.system import new_id

__all__ = ["database_url"]


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 23, 12, tzinfo=UTC)


def initialise(data: Path, tell: list[str] | None = None, **changed: Any) -> ServerSettings:
    make = Initialise(
        clock=FixedClock(),
        new_id=new_id,
        randomness=lambda size: b"x" * size,
        tell=([] if tell is None else tell).append,
    )
    options = {
        "database": None,
        "public_url": "https://admin.example",
        "gateway_url": "https://devices.example:8444",
        "listen": "127.0.0.1",
        "tenant_name": "Example",
        "domain": "example.org",
    }
    return make(data, **(options | changed))


def test_a_new_server_has_keys_certificate_database_and_settings(tmp_path: Path, database_url: str) -> None:
    steps: list[str] = []
    made = initialise(tmp_path / "data", steps, database=database_url)

    assert settings_file.load(tmp_path / "data") == made
    assert load_keys(made.keys, made.tenant_id).unit.tenant_id == made.tenant_id
    database = Database(made.database)
    assert migrate.is_current(database)
    with database.read() as connection:
        assert tenants.get(connection, made.tenant_id).display_name == "Example"
    database.close()
    assert len(steps) == 3


def test_nobody_else_can_look_into_the_data(tmp_path: Path) -> None:
    made = initialise(tmp_path / "data")
    assert stat.S_IMODE(made.data.stat().st_mode) == 0o700
    for secret in (made.nonce_key, made.tls_key, made.tls_authority_key):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_the_certificate_is_for_every_name_of_the_server_and_of_its_own_authority(tmp_path: Path) -> None:
    made = initialise(tmp_path / "data")
    leaf, authority = x509.load_pem_x509_certificates(made.tls_certificate.read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert {*names.get_values_for_type(x509.DNSName)} == {"localhost", "admin.example", "devices.example"}
    assert "127.0.0.1" in {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    leaf.verify_directly_issued_by(authority)
    assert ssl.create_default_context(cafile=str(made.tls_authority)).cert_store_stats()["x509_ca"] == 1


def test_twice_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    made = initialise(tmp_path / "data")
    before = {path: path.read_bytes() for path in made.data.rglob("*") if path.is_file()}

    with pytest.raises(AlreadyInitialisedError, match="already"):
        initialise(tmp_path / "data")

    assert {path: path.read_bytes() for path in made.data.rglob("*") if path.is_file()} == before


def test_a_directory_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(AlreadyInitialisedError, match=r"thesis\.txt"):
        initialise(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_database_belongs_to_one_server(tmp_path: Path, database_url: str) -> None:
    initialise(tmp_path / "one", database=database_url)
    with pytest.raises(DatabaseTakenError):
        initialise(tmp_path / "two", database=database_url)
    assert not (tmp_path / "two" / "server.json").exists()


def test_a_database_that_is_not_there_is_said_to_be_that(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailableError):
        initialise(tmp_path / "data", database="postgresql://nobody@127.0.0.1:1/nothing")

    assert list((tmp_path / "data").iterdir()) == []
    assert initialise(tmp_path / "data").tenant_id
