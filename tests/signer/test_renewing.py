"""The device authority is renewed long before its end, by a start, and nobody notices."""

from __future__ import annotations

import errno
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tests.support.trust import DEVICE, NOON, TENANT, HandClock, package_of

from shieldwall.server.signer import renewing
from shieldwall.server.signer.errors import KeyFilesError
from shieldwall.server.signer.keys import load_keys
from shieldwall.server.signer.ledger import Ledger
from shieldwall.server.signer.renewing import RENEW_BEFORE, renew_authority
from shieldwall.server.signer.service import SignerService
from shieldwall.trust import moments
from shieldwall.trust.certificates import AUTHORITY_DAYS, DEVICE_DAYS
from shieldwall.trust.device_certificate import read_certificate
from shieldwall.trust.device_key import DeviceKey, public_key_info

KEY = DeviceKey.generate()
END = NOON + timedelta(days=AUTHORITY_DAYS)
DUE = END - RENEW_BEFORE


def test_it_is_renewed_once_and_in_time(data: Path) -> None:
    keys = load_keys(data / "keys", TENANT)
    assert renew_authority(data / "keys", keys, DUE - timedelta(seconds=1)) is None
    assert renew_authority(data / "keys", keys, DUE) == TENANT

    renewed = load_keys(data / "keys", TENANT)

    assert renew_authority(data / "keys", renewed, DUE) is None
    assert renewed.device_authority.certificate.not_valid_after_utc == DUE + timedelta(days=AUTHORITY_DAYS)
    assert (keys.trust_root().version, renewed.trust_root().version) == (1, 2)
    assert renewed.trust_root().roles == keys.trust_root().roles
    assert renewed.trust_root().incarnation == keys.trust_root().incarnation


def test_devices_get_certificates_for_as_long_as_ever_after_it_would_have_ended(data: Path) -> None:
    renew_authority(data / "keys", load_keys(data / "keys", TENANT), DUE)
    for now in (END - timedelta(days=1), END, END + timedelta(days=1)):
        certificate = read_certificate(issued(data, now))
        assert certificate.not_after == now + timedelta(days=DEVICE_DAYS)


def test_what_was_issued_before_is_verified_by_the_renewed_one(data: Path) -> None:
    before = x509.load_pem_x509_certificate(issued(data, DUE).encode())
    renew_authority(data / "keys", load_keys(data / "keys", TENANT), DUE)
    renewed = load_keys(data / "keys", TENANT).device_authority.certificate

    before.verify_directly_issued_by(renewed)
    assert renewed.not_valid_before_utc <= before.not_valid_before_utc


def test_packages_carry_the_renewed_one(data: Path) -> None:
    renew_authority(data / "keys", load_keys(data / "keys", TENANT), DUE)
    keys = load_keys(data / "keys", TENANT)
    signer = SignerService(keys=keys, ledger=Ledger(data / "signer"), clock=HandClock(DUE))
    lifetime = {"not_before": moments.write(DUE), "not_after": moments.write(DUE + timedelta(days=1))}

    signer.seal_package(package_of(signer.trust_root(), **lifetime))
    signer.ledger.close()


def test_where_it_cannot_be_written_the_old_one_stays(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    keys = load_keys(data / "keys", TENANT)
    monkeypatch.setattr(renewing, "put_secret", full)
    with pytest.raises(KeyFilesError, match="cannot be renewed"):
        renew_authority(data / "keys", keys, DUE)

    assert load_keys(data / "keys", TENANT).trust_root() == keys.trust_root()


def issued(data: Path, now: datetime) -> str:
    ledger = Ledger(data / "signer")
    signer = SignerService(keys=load_keys(data / "keys", TENANT), ledger=ledger, clock=HandClock(now))
    try:
        return signer.issue_certificate(spki=public_key_info(KEY.public_key), tenant_id=TENANT, device_id=DEVICE)
    finally:
        ledger.close()
