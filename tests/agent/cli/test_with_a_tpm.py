"""The command line on a machine whose root shows a TPM: real processes, a real implementation of TPM 2.0."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.commanded_device import Device
from tests.support.simulated_gateway import RealClock, SimulatedGateway, served
from tests.support.swtpm import running_tpm

pytestmark = pytest.mark.swtpm


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    gateway = SimulatedGateway(clock=RealClock())
    # A root with a short name: the TPM is a Unix socket in it, whose path may not be long.
    with tempfile.TemporaryDirectory(prefix="root-") as short, served(gateway, tmp_path):
        root = Path(short)
        (root / "dev").mkdir()
        package = tmp_path / "package.json"
        package.write_bytes(gateway.package_bytes())
        package.chmod(0o600)
        with running_tpm(socket=root / "dev/tpmrm0"):
            yield Device(root=root, state=tmp_path / "state", package=package)


def test_the_key_of_a_device_is_made_in_its_tpm_and_shown_so(device: Device) -> None:
    onboarded = device("onboard", str(device.package))
    assert onboarded.returncode == 0, onboarded.stderr

    assert b"PRIVATE KEY" not in (device.state / "device.key").read_bytes()
    assert device.json("status")["keyProtection"] == "tpm"
    assert "in the TPM" in device("status").stdout
    checks = {check["id"]: check for check in device.json("doctor")["checks"]}
    assert checks["tpm"]["severity"] == "ok"
    assert device("sync").returncode == 0


def test_a_tpm_that_is_taken_away_is_missed(device: Device) -> None:
    assert device("onboard", str(device.package)).returncode == 0
    (device.root / "dev/tpmrm0").unlink()

    synced = device("sync")

    assert synced.returncode != 0
    assert "tpmFailed" in synced.stderr
    assert device.json("status")["keyProtection"] == "tpm"
    checks = {check["id"]: check for check in device.json("doctor")["checks"]}
    assert checks["tpm"]["severity"] == "error"
