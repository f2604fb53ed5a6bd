"""Registrations, who vouches for them, and devices that wait, against a real server."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import CommandLine
from tests.support.other_directory import OtherDirectory, a_key
from tests.support.samples import a_device, device_id

from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.configuration.settings import load
from shieldwall.server.main import open_services
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.trust.device_key import DeviceKey, public_key_bytes

FULL = device_id(77)


@pytest.fixture
def directory() -> OtherDirectory:
    return OtherDirectory(datetime.now(UTC))


def test_a_registration_is_imported_changed_and_removed(
    shieldwall: CommandLine, directory: OtherDirectory, tmp_path: Path
) -> None:
    def registered() -> list[dict[str, Any]]:  # other tests leave devices of theirs behind
        return [each for each in shieldwall.json("directory", "list", "--json") if each["deviceId"] == FULL]

    certificate = tmp_path / "cert.pem"
    certificate.write_text(directory.holder(FULL, key=a_key("rsa")).pem)

    made = shieldwall("directory", "import", FULL, str(certificate), "--name", "web-77", "--trust-type", "ServerAd")
    assert FULL in made.stdout
    listed = shieldwall("directory", "list").stdout
    assert "ServerAd" in listed
    assert "not used yet (imported)" in listed

    shieldwall("directory", "set", FULL, "--disabled", "--managed-by", "MDM")
    (found,) = registered()
    assert (found["accountEnabled"], found["managementType"]) == (False, "MDM")
    shieldwall("directory", "set", FULL, "--enabled", "--managed-by", "")
    (found,) = registered()
    assert (found["accountEnabled"], found["managementType"]) == (True, None)

    again = shieldwall("directory", "import", FULL, str(certificate), "--name", "x", status=1)
    assert "alreadyExists" in again.stderr
    assert "cannot be read" in shieldwall("directory", "import", FULL, "/nowhere", "--name", "x", status=1).stderr
    shieldwall("directory", "remove", FULL, "--yes")
    assert registered() == []


def test_an_authority_is_trusted_and_distrusted(
    shieldwall: CommandLine, directory: OtherDirectory, tmp_path: Path
) -> None:
    certificate = tmp_path / "ca.pem"
    certificate.write_text(directory.pem)
    assert "Contoso devices" in shieldwall("directory", "trust", str(certificate), "--name", "Contoso").stdout
    (found,) = shieldwall.json("directory", "authorities", "--json")
    assert found["id"] in shieldwall("directory", "authorities").stdout
    shieldwall("directory", "distrust", found["id"])
    assert shieldwall.json("directory", "authorities", "--json") == []


def test_devices_that_wait_are_compared_approved_rejected_and_deleted(shieldwall: CommandLine) -> None:
    machine = digest_of_bytes(b"machine")
    with open_services(load(shieldwall.data)) as services, services.database.write() as connection:
        for number in (1, 2, 3):
            key = DeviceKey.generate()
            made = a_device(
                number,
                tenant_id=services.tenant.id,
                display_name=f"wait-{number}",
                machine_id_hash=machine,
                state=DeviceState.ACTIVE if number == 1 else DeviceState.PENDING,
                state_reason=None if number == 1 else "duplicateHardware",
                replaces=None if number == 1 else device_id(1),
                key_thumbprint=key.thumbprint,
                public_key=public_key_bytes(key.public_key),
            )
            devices.add(connection, made)
            check_ins.add(connection, made.id)

    shown = shieldwall("device", "duplicates", "wait-2").stdout
    assert "duplicateHardware" in shown
    assert "machineId" in shown
    assert len(shieldwall.json("device", "duplicates", "wait-2", "--json")) == 3
    assert "Approved wait-2" in shieldwall("device", "approve", "wait-2", "--replace").stdout
    shieldwall("device", "reject", "wait-3")
    assert "notPending" in shieldwall("device", "approve", "wait-3", status=1).stderr
    states = {
        each["deviceName"]: each["shieldwall"]["deviceState"]
        for each in shieldwall.json("device", "list", "--include-retired", "--json")
    }
    assert states == {"wait-1": "retired", "wait-2": "active", "wait-3": "retired"}

    assert shieldwall("device", "delete", "wait-2", stdin="n\n", status=None).returncode != 0
    shieldwall("device", "delete", "wait-2", "--yes")
    assert "no device" in shieldwall("device", "show", "wait-2", status=1).stderr
