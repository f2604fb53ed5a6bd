"""What a server needs on disk is missed before anything starts, by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from shieldwall.contract.ids import TenantId
from shieldwall.server.configuration.roles import DEFAULT, Role
from shieldwall.server.configuration.settings import ServerSettings, resolved
from shieldwall.server.configuration.settings_file import SettingsFile
from shieldwall.server.processes import needed_files
from shieldwall.server.processes.needed_files import NeededFileError
from shieldwall.trust.certificates import LocalAuthority


@pytest.fixture
def whole(tmp_path: Path) -> ServerSettings:
    made = SettingsFile(
        tenant_id=TenantId("00000000-0000-4000-8000-00000000000a"),
        database=f"sqlite:///{tmp_path}/shieldwall.db",
        public_port=8443,
        gateway_port=8444,
    )
    settings = resolved(tmp_path, made)
    (tmp_path / "tls").mkdir()
    chain, key = LocalAuthority.create(datetime.now(UTC)).issue_server([], datetime.now(UTC))
    settings.tls_certificate.write_text(chain)
    settings.tls_key.write_text(key)
    settings.nonce_key.write_bytes(bytes(32))
    (tmp_path / "shieldwall.db").touch()
    return settings


def other_key(settings: ServerSettings) -> None:
    _, key = LocalAuthority.create(datetime.now(UTC)).issue_server([], datetime.now(UTC))
    settings.tls_key.write_text(key)


def test_nothing_is_missed_where_all_is_there(whole: ServerSettings) -> None:
    needed_files.check(whole, DEFAULT)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda settings: settings.nonce_key.unlink(), "nonce.key cannot be read: No such file"),
        (lambda settings: settings.tls_key.unlink(), "server.key cannot be read: No such file"),
        (lambda settings: settings.tls_certificate.unlink(), "server.pem cannot be read: No such file"),
        (lambda settings: settings.tls_certificate.write_text("nothing"), "cannot be used together"),
        (other_key, "cannot be used together: .*mismatch"),
        (lambda settings: (settings.data / "shieldwall.db").unlink(), "shieldwall.db cannot be read: No such file"),
    ],
)
def test_what_is_not_there_or_does_not_fit_is_named(
    whole: ServerSettings, damage: Callable[[ServerSettings], object], named: str
) -> None:
    damage(whole)
    with pytest.raises(NeededFileError, match=named):
        needed_files.check(whole, DEFAULT)


def test_a_signer_alone_needs_no_certificate(whole: ServerSettings) -> None:
    whole.tls_key.unlink()
    whole.nonce_key.unlink()
    needed_files.check(whole, [Role.SIGNER])
