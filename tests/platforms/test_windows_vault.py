"""Device keys on Windows: in a pretended TPM, or sealed in a file."""

from __future__ import annotations

import os

import pytest
from tests.platforms.pretend_vault import PretendSeal, PretendTpmKeys

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.service.device_keys import make_key, read_key, write_key
from shieldwall.agent.windows.vault import CngError, WindowsVault, point_of
from shieldwall.trust.device_key import BadDeviceKeyError, is_signed_by


def vault(keys: PretendTpmKeys | None) -> WindowsVault:
    return WindowsVault(keys=keys, seal=PretendSeal(), randomness=os.urandom)


def test_a_key_in_the_tpm_is_found_again_and_signs() -> None:
    there = vault(PretendTpmKeys())
    made = make_key(None, there)

    record = write_key(made)
    found = read_key(record, None, there)

    assert (found.protection, found.thumbprint) == ("tpm", made.thumbprint)
    assert is_signed_by(made.public_key, found.sign(b"data"), b"data")
    assert not is_signed_by(made.public_key, found.sign(b"data"), b"other")


def test_without_a_tpm_the_key_is_sealed_in_a_file() -> None:
    there = vault(None)
    made = make_key(None, there)

    record = write_key(made)

    assert made.protection == "software"
    assert b"PRIVATE KEY" not in record
    assert is_signed_by(made.public_key, read_key(record, None, there).sign(b"data"), b"data")


@pytest.mark.parametrize("how", ["refuses", "lies"])
def test_a_tpm_that_does_not_play_along_is_no_reason_to_have_no_key(how: str) -> None:
    keys = PretendTpmKeys(refuses=how == "refuses", lies=how == "lies")

    made = make_key(None, vault(keys))

    assert made.protection == "software"
    assert keys.made == {}, "a key that does not sign right is destroyed"


def test_a_key_sealed_elsewhere_is_none_of_ours() -> None:
    record = write_key(make_key(None, vault(None)))

    with pytest.raises(BadDeviceKeyError):
        read_key(record, None, WindowsVault(keys=None, seal=PretendSeal(b"other"), randomness=os.urandom))


@pytest.mark.parametrize(
    "record",
    [
        b"{}",
        b'{"protection":"cng"}',
        b'{"protection":"cng","name":"x","point":"AAAA"}',
        b'{"protection":"dpapi","sealed":"!"}',
        b'{"protection":"tpm"}',
    ],
)
def test_a_damaged_record_is_refused(record: bytes) -> None:
    with pytest.raises(BadDeviceKeyError):
        read_key(record, None, vault(PretendTpmKeys()))


def test_a_key_whose_tpm_is_gone_says_so_when_it_has_to_sign() -> None:
    record = write_key(make_key(None, vault(PretendTpmKeys())))
    found = read_key(record, None, vault(None))

    with pytest.raises(HostError):
        found.sign(b"data")


def test_a_key_is_destroyed_with_its_record() -> None:
    keys = PretendTpmKeys()
    there = vault(keys)
    record = write_key(make_key(None, there))

    there.forget(record)
    there.forget(record)
    there.forget(b"-----BEGIN PRIVATE KEY-----")

    assert keys.made == {}


def test_what_windows_exports_is_a_point_on_p256() -> None:
    coordinates = bytes(range(64))

    assert point_of(b"ECS1" + (32).to_bytes(4, "little") + coordinates) == b"\x04" + coordinates
    for wrong in (b"", b"ECS3" + (48).to_bytes(4, "little") + bytes(96), b"ECS1" + (32).to_bytes(4, "little")):
        with pytest.raises(CngError):
            point_of(wrong)
