"""``shieldwall attestation`` against a real server."""

from __future__ import annotations

from pathlib import Path

from tests.support.command_line import CommandLine
from tests.support.samples import NOON

from shieldwall.contract.ids import TenantId
from shieldwall.trust.certificates import DeviceAuthority

HASH = "cd" * 32


def test_makers_and_tpms_are_trusted_and_distrusted(shieldwall: CommandLine, tmp_path: Path) -> None:
    maker = tmp_path / "maker.pem"
    maker.write_text(DeviceAuthority.create(TenantId("00000000-0000-4000-8000-00000000000c"), NOON).certificate_pem)

    assert "CN=Shieldwall devices" in shieldwall("attestation", "trust-maker", "--name", "Maker", str(maker)).stdout
    assert HASH in shieldwall("attestation", "trust-tpm", "--name", "web-01", HASH).stdout

    found = {each["displayName"]: each for each in shieldwall.json("attestation", "list", "--json")}
    assert found["Maker"]["kind"] == "authority"
    assert found["web-01"]["endorsementKeyHash"] == HASH
    assert "web-01" in shieldwall("attestation", "list").stdout
    for each in found.values():
        shieldwall("attestation", "distrust", each["id"])
    assert shieldwall.json("attestation", "list", "--json") == []


def test_what_is_no_certificate_is_refused_in_words(shieldwall: CommandLine, tmp_path: Path) -> None:
    for name, content in (("binary.pem", b"\xff\xfe"), ("text.pem", b"hello")):
        file = tmp_path / name
        file.write_bytes(content)
        refused = shieldwall("attestation", "trust-maker", "--name", "Maker", str(file), status=1)
        assert "PEM" in refused.stderr
    nothing = str(tmp_path / "nothing")
    assert nothing in shieldwall("attestation", "trust-maker", "--name", "Maker", nothing, status=1).stderr
