"""A protected device on its command line: real processes, a real TLS gateway."""

from __future__ import annotations

from pathlib import Path

from tests.agent.cli.test_shieldwall_agent import device, gateway
from tests.support.commanded_device import SECONDS, Device
from tests.support.simulated_gateway import SimulatedGateway

from shieldwall.contract.messages import CheckInRequest

__all__ = ["device", "gateway"]


REFUSED = ("packageType", "unsuitablePackage")


def subjects(gateway: SimulatedGateway) -> set[str]:
    requests = [message for _, message in gateway.received if isinstance(message, CheckInRequest)]
    return {attempt.subject for request in requests for attempt in request.attempts}


def attempts(gateway: SimulatedGateway) -> list[str]:
    requests = [message for _, message in gateway.received if isinstance(message, CheckInRequest)]
    return [attempt.kind for request in requests for attempt in request.attempts]


def test_a_protected_device_refuses_tells_and_leaves_with_a_package(
    device: Device, gateway: SimulatedGateway, tmp_path: Path
) -> None:
    device("onboard", str(device.package))
    gateway.protect()
    file = tmp_path / "offboarding.json"
    with device.running() as process:
        device("sync")
        assert device.json("status")["protected"] is True
        assert "Tamper protection" in device("status").stdout
        for words in ((), ("--without-server",)):
            refused = device("offboard", *words)
            assert refused.returncode == 11, refused.stderr
            assert "offboard --package FILE" in refused.stderr
        assert process.poll() is None, "a refused departure stops no agent"
        device("sync")
        assert "offboardRefused" in attempts(gateway)

        file.write_bytes(gateway.package_bytes())
        file.chmod(0o600)
        assert device("offboard", "--package", str(file)).returncode == 6
        file.write_bytes(gateway.offboarding_bytes())
        file.chmod(0o666)
        assert device("offboard", "--package", str(file)).returncode == 6
        device("sync")
        assert subjects(gateway) >= {f"shieldwall-agent offboard --package: {code}" for code in REFUSED}
        file.chmod(0o600)
        left = device("offboard", "--package", str(file))
        assert left.returncode == 0, left.stderr
        assert process.wait(SECONDS) == 0

    assert gateway.device.offboarded
    assert device("offboard").returncode == 4


def test_a_running_agent_carries_out_the_order_and_ends(device: Device, gateway: SimulatedGateway) -> None:
    device("onboard", str(device.package))
    gateway.protect()
    with device.running() as process:
        device("sync")
        gateway.device.leaving = True
        gateway.request_sync()
        assert process.wait(SECONDS) == 0, "the service ends well, and is not started again"

    assert gateway.device.offboarded
    assert device.json("status")["onboarded"] is False
