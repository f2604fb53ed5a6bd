"""A device key in a Secure Enclave, by the calls of a Mac's frameworks, over a stand-in that counts references."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.macos import frameworks
from shieldwall.agent.host.macos.enclave import SecureEnclave, secure_enclave
from shieldwall.agent.host.macos.frameworks import EnclaveError, Held
from shieldwall.agent.macos.vault import KeyInEnclave, MacosVault
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.state_files import KEY
from shieldwall.testing.macos.security import PretendSecurity
from shieldwall.trust.device_key import BadDeviceKeyError, DeviceKey, is_signed_by

NO_ENCLAVE = "-4: Unable to create keypair, no Secure Enclave"


def vault(security: PretendSecurity) -> MacosVault:
    return MacosVault(enclave=SecureEnclave(security.frameworks))


def test_a_key_of_the_enclave_signs_and_is_found_again_by_its_record() -> None:
    security = PretendSecurity()
    key = vault(security).make()

    again = vault(security).find(key.record())

    assert (again.thumbprint, again.protection) == (key.thumbprint, "secureEnclave")
    assert is_signed_by(key.public_key, again.sign(b"request"), b"request")
    assert not is_signed_by(vault(security).make().public_key, again.sign(b"request"), b"request")


def test_every_reference_is_let_go_also_where_something_fails() -> None:
    security = PretendSecurity()
    key = vault(security).make()
    assert (security.unreleased, security.faults) == (0, [])

    security.refusal = NO_ENCLAVE
    for use in (vault(security).make, lambda: key.sign(b"request")):
        with pytest.raises(EnclaveError, match="no Secure Enclave"):
            use()

    assert (security.unreleased, security.faults) == (0, [])


def test_the_record_holds_nothing_that_signs_elsewhere() -> None:
    record = vault(PretendSecurity()).make().record()
    elsewhere = vault(PretendSecurity()).find(record)

    with pytest.raises(EnclaveError, match="not of this enclave"):
        elsewhere.sign(b"request")


def test_a_mac_without_an_enclave_keeps_its_key_in_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    for enclave in (None, SecureEnclave(PretendSecurity(refusal=NO_ENCLAVE).frameworks)):
        state = AgentState(directory=tmp_path, disk=LocalDisk(), vault=MacosVault(enclave=enclave))

        made = state.make_key()

        assert isinstance(made, DeviceKey)
        assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600
        assert state.get_key().thumbprint == made.thumbprint


def test_a_mac_with_an_enclave_keeps_a_record_of_its_key(tmp_path: Path) -> None:
    state = AgentState(directory=tmp_path, disk=LocalDisk(), vault=vault(PretendSecurity()))

    made = state.make_key()
    found = state.get_key()

    assert isinstance(found, KeyInEnclave)
    assert found.thumbprint == made.thumbprint
    assert is_signed_by(made.public_key, found.sign(b"x"), b"x")
    assert b"PRIVATE" not in (tmp_path / KEY).read_bytes()


def test_a_key_from_before_the_enclave_is_still_read(tmp_path: Path) -> None:
    old = AgentState(directory=tmp_path, disk=LocalDisk()).make_key()

    found = AgentState(directory=tmp_path, disk=LocalDisk(), vault=vault(PretendSecurity())).get_key()

    assert found.thumbprint == old.thumbprint


def test_a_key_whose_enclave_is_gone_is_known_and_cannot_sign() -> None:
    key = vault(PretendSecurity()).make()
    found = MacosVault(enclave=None).find(key.record())

    assert found.thumbprint == key.thumbprint
    with pytest.raises(EnclaveError, match="this machine has none"):
        found.sign(b"request")


@pytest.mark.parametrize(
    "record",
    [
        b"{}",
        b'{"protection":"tpm","blob":"","point":""}',
        b'{"protection":"secureEnclave","blob":"?","point":""}',
        b'{"protection":"secureEnclave","blob":"AAAA","point":"AAAA"}',
        b"not json",
    ],
)
def test_a_record_of_another_kind_is_refused(record: bytes) -> None:
    with pytest.raises(BadDeviceKeyError):
        MacosVault(enclave=None).find(record)


def test_forgetting_a_key_does_nothing_for_its_blob_was_all_there_was() -> None:
    MacosVault(enclave=None).forget(b"{}")


class LyingSecurity(PretendSecurity):
    """An enclave whose answers are senseless."""

    def __init__(self, *, point: bytes | None = None, signature: bytes | None = None, blob: bool = True) -> None:
        self._point, self._signature, self._blob = point, signature, blob
        super().__init__()

    def SecKeyCopyExternalRepresentation(self, key: int, error: object) -> int | None:  # noqa: N802 - Apple's name
        made = super().SecKeyCopyExternalRepresentation(key, error)
        return made if self._point is None else self._replaced(made, self._point)

    def SecKeyCreateSignature(self, key: int, algorithm: int, data: int, error: object) -> int | None:  # noqa: N802
        made = super().SecKeyCreateSignature(key, algorithm, data, error)
        return made if self._signature is None else self._replaced(made, self._signature)

    def SecKeyCopyAttributes(self, key: int) -> int:  # noqa: N802
        made = super().SecKeyCopyAttributes(key)
        if not self._blob:
            self._values[made] = {}
        return made

    def _replaced(self, reference: int | None, content: bytes) -> int | None:
        assert reference is not None
        self._values[reference] = content
        return reference


@pytest.mark.parametrize(
    ("lies", "words"),
    [
        ({"point": b"\x04" + bytes(64)}, "no key of use"),
        ({"point": b"short"}, "of another kind"),
        ({"signature": b"senseless"}, "no signature"),
        ({"signature": bytes.fromhex("3006020101020101")}, "do not fit"),
        ({"blob": False}, "no blob"),
    ],
)
def test_an_enclave_that_lies_is_found_out_before_its_key_is_believed(lies: dict[str, object], words: str) -> None:
    security = LyingSecurity(**lies)  # type: ignore[arg-type]

    with pytest.raises(HostError, match=words):
        vault(security).make()

    assert (security.unreleased, security.faults) == (0, [])


def test_a_function_that_gives_nothing_is_an_error_with_its_name() -> None:
    held = Held(PretendSecurity().frameworks)

    with pytest.raises(EnclaveError, match="CFDataCreate gave nothing"):
        held.keep(None, "CFDataCreate")
    with pytest.raises(EnclaveError, match="gave nothing"):
        held.keep(0, "CFDataCreate")


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has the frameworks")
def test_elsewhere_there_are_no_such_frameworks() -> None:
    assert secure_enclave() is None
    assert frameworks.load() is None


def test_bytes_go_through_whole_and_references_are_not_cut_to_32_bits() -> None:
    security = PretendSecurity()
    held = Held(security.frameworks)
    content = bytes(range(256)) + bytes(3)

    made = held.data(content)

    assert made > 1 << 32
    assert held.bytes_of(made) == content
    held.release()
    assert (security.unreleased, security.faults) == (0, [])


def test_whoever_lets_go_twice_is_noticed() -> None:
    security = PretendSecurity()
    held = Held(security.frameworks)
    held.keep(held.data(b"x"), "twice")

    held.release()

    assert [str(fault) for fault in security.faults] == ["let go of what was not held"]
