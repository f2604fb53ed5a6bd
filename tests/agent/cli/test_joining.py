"""Joining, waiting and becoming, as a person at the device meets them: real processes, a real TLS gateway."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.agent.cli.test_shieldwall_agent import device, gateway
from tests.support.commanded_device import Device
from tests.support.other_directory import OtherDirectory, a_key
from tests.support.samples import device_id
from tests.support.simulated_gateway import RealClock, SimulatedGateway

__all__ = ["device", "gateway"]
FULL = device_id(77)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Certificate and key of another directory."""
    holder = OtherDirectory(RealClock().now()).holder(FULL, key=a_key("rsa"))
    (tmp_path / "cert.pem").write_text(holder.pem)
    (tmp_path / "key.pem").write_bytes(holder.key_pem)
    return str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")


def test_who_waits_is_told_what_to_do_and_let_in_by_the_running_agent(
    device: Device, gateway: SimulatedGateway
) -> None:
    gateway.approves = True
    waits = device("onboard", str(device.package))
    assert waits.returncode == 12
    assert "an administrator has to let it in" in waits.stderr
    assert "shieldwall-agent run" in waits.stderr
    assert "waits" in device("status").stdout
    assert device.json("status")["waiting"] is True

    with subprocess.Popen(device.command("run"), stderr=subprocess.PIPE, text=True, env={}) as running:
        assert running.stderr is not None
        assert "notLetIn" in running.stderr.readline()
        running.terminate()
        assert running.wait(60) == 0

    with subprocess.Popen(
        device.command("onboard", str(device.package), "--wait"), stdout=subprocess.PIPE, text=True, env={}
    ) as waiting:
        assert waiting.stdout is not None
        assert "Waiting" in waiting.stdout.readline()
        waiting.terminate()

    gateway.approves = False
    assert device("onboard", str(device.package), "--wait").returncode == 0
    assert device.json("status")["deviceId"] == gateway.device.id


def test_a_device_joins_and_becomes_it(device: Device, gateway: SimulatedGateway) -> None:
    assert device("onboard", str(device.package)).returncode == 0
    assert device.json("status")["registration"] == "synthetic"
    with device.running():
        joined = device("join", str(device.package))
        assert (joined.returncode, "joined as" in joined.stdout) == (0, True)
        (join,) = gateway.joins.values()
        assert device("sync").returncode == 0, "the running agent looks, and goes on as another device"
        assert gateway.device.id == join.device_id
        assert device("sync").returncode == 0
    status = device.json("status")
    assert (status["deviceId"], status["registration"]) == (join.device_id, "full")
    assert device("offboard").returncode == 0
    assert {path.name for path in device.state.iterdir() if path.is_file()} >= {"join.key", "join.json"}


def test_a_certificate_of_another_directory_is_named_and_used(device: Device, files: tuple[str, str]) -> None:
    certificate, key = files
    for wrong in (
        ("join",),
        ("join", "--certificate", certificate),
        ("join", "--certificate", certificate, "--key", certificate),
        ("join", "--certificate", certificate, "--key", "/nowhere"),
    ):
        refused = device(*wrong)
        assert refused.returncode == 1
        assert "[existingUnusable]" in refused.stderr

    onboarded = device("onboard", str(device.package), "--certificate", certificate, "--key", key)
    assert onboarded.returncode == 0
    assert "the registration that it has" in onboarded.stdout
    assert device.json("status")["registration"] == "full"


def test_naming_it_later_promotes_the_device(device: Device, gateway: SimulatedGateway, files: tuple[str, str]) -> None:
    assert device("onboard", str(device.package)).returncode == 0
    assert device("join", "--certificate", files[0], "--key", files[1]).returncode == 0
    assert device("sync").returncode == 0
    assert gateway.device.id == device.json("status")["deviceId"] == FULL
