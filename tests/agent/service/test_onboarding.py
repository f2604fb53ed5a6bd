"""Getting an identity: what is checked before anybody is contacted, and what survives a lost answer."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from tests.support.simulated_agent import SimulatedAgent, a_policy
from tests.support.simulated_gateway import HandClock, SimulatedGateway

from shieldwall.agent.service.errors import (
    AlreadyOnboardedError,
    GatewayUnreachableError,
    ProblemAnswerError,
    UnsuitablePackageError,
)
from shieldwall.agent.service.package_file import read_package
from shieldwall.contract.registration import RegisterRequest
from shieldwall.trust.onboarding import InvalidPackageError

OTHER_PACKAGE = "aaaaaaaa-0000-4000-8000-000000000002"


def a_file(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_device_becomes_who_the_server_says_it_is(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    identity = laptop.onboard()

    assert identity.device_id == gateway.device.id
    assert identity.instance_id == gateway.device.instance_id
    assert laptop.state.get_key().thumbprint in gateway.devices
    assert laptop.state.find_pending() is None


def test_a_second_onboarding_is_told_that_there_was_a_first(laptop: SimulatedAgent) -> None:
    laptop.onboard()
    laptop.network.calls.clear()

    with pytest.raises(AlreadyOnboardedError):
        laptop.onboard()

    assert laptop.network.calls == []


def test_a_device_managed_elsewhere_gets_an_identity_and_says_by_whom_it_is_managed(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    laptop.machine.said = msgspec.structs.replace(
        laptop.machine.said, managed_elsewhere="Another manager", manager="mdm"
    )
    gateway.assign(gateway.publish(a_policy()))

    laptop.onboard()
    laptop.check_in()

    assert gateway.device.facts is not None
    assert (gateway.device.facts.managed_elsewhere, gateway.device.facts.manager) == ("Another manager", "mdm")
    assert laptop.enforcer.wanted == {}


def test_a_package_for_other_systems_is_refused_in_silence(laptop: SimulatedAgent) -> None:
    with pytest.raises(UnsuitablePackageError, match="windows"):
        laptop.onboard(allowed_platforms=("windows",))

    assert laptop.network.calls == []


def test_a_lost_answer_is_asked_for_with_the_very_same_request(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    def lose(path: str) -> None:
        if path.endswith("/device"):
            raise GatewayUnreachableError("The answer was lost.")

    laptop.network.after = lose
    with pytest.raises(GatewayUnreachableError):
        laptop.onboard()
    first = gateway.device
    laptop.network.after = lambda _path: None

    identity = laptop.onboard()

    assert gateway.device is first
    assert identity.device_id == first.id
    assert len([message for _, message in gateway.received if isinstance(message, RegisterRequest)]) == 1


def test_a_nonce_that_ran_out_is_replaced(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    def lose(path: str) -> None:
        if path.endswith("/device"):
            raise GatewayUnreachableError("The request was lost.")

    laptop.network.before = lose
    with pytest.raises(GatewayUnreachableError):
        laptop.onboard()
    laptop.network.before = lambda _path: None
    gateway.nonces.clear()

    assert laptop.onboard().device_id == gateway.device.id


def test_a_wrong_secret_is_refused_by_the_server_and_leaves_the_way_open(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    right, gateway.secret = gateway.secret, bytes(32)
    package = gateway.package()
    gateway.secret = right

    with pytest.raises(ProblemAnswerError) as refusal:
        laptop.surroundings.onboard()(package)

    assert refusal.value.problem.code == "badOnboardingProof"
    assert laptop.onboard().device_id == gateway.device.id


def test_an_unanswered_request_of_another_package_does_not_lend_its_key(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    def lose(path: str) -> None:
        if path.endswith("/device"):
            raise GatewayUnreachableError("The answer was lost.")

    laptop.network.after = lose
    with pytest.raises(GatewayUnreachableError):
        laptop.onboard()
    laptop.network.after = lambda _path: None

    identity = laptop.onboard(package_id=OTHER_PACKAGE)

    assert identity.device_id in {device.id for device in gateway.devices.values()}
    assert len(gateway.devices) == 2


def test_a_server_in_trouble_does_not_cost_the_request(
    laptop: SimulatedAgent, gateway: SimulatedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = gateway.answer

    def busy(request: object) -> object:
        answer = real(request)  # type: ignore[arg-type]  # passed on as it came
        if str(getattr(request, "path", "")).endswith("/device"):
            return msgspec_problem(gateway)
        return answer

    monkeypatch.setattr(gateway, "answer", busy)
    with pytest.raises(ProblemAnswerError):
        laptop.onboard()
    monkeypatch.setattr(gateway, "answer", real)

    assert laptop.onboard().device_id == gateway.device.id
    assert len(gateway.devices) == 1


def msgspec_problem(gateway: SimulatedGateway) -> object:
    from tests.support.simulated_gateway import RefusedError  # noqa: PLC0415 - for this one answer

    return gateway._problem(RefusedError(503, "busy"))


def test_a_package_is_read_from_a_private_file(tmp_path: Path, gateway: SimulatedGateway, clock: HandClock) -> None:
    path = a_file(tmp_path / "package.json", gateway.package_bytes())

    assert read_package(path, clock.now()) == gateway.package()


def test_an_odd_package_file_is_refused(tmp_path: Path, gateway: SimulatedGateway, clock: HandClock) -> None:
    good = a_file(tmp_path / "good", gateway.package_bytes())
    (tmp_path / "link").symlink_to(good)
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "directory").mkdir()
    a_file(tmp_path / "open", gateway.package_bytes(), 0o604)
    a_file(tmp_path / "huge", b" " * (64 * 1024 + 1))
    reasons = {
        "link": "symbolic link",
        "pipe": "not a file",
        "directory": "not a file",
        "open": "readable by everybody",
        "huge": "larger than",
        "missing": "No such file",
    }
    for name, reason in reasons.items():
        with pytest.raises(UnsuitablePackageError, match=reason):
            read_package(tmp_path / name, clock.now())


def test_an_expired_or_changed_package_is_refused(tmp_path: Path, gateway: SimulatedGateway, clock: HandClock) -> None:
    content = gateway.package_bytes()
    path = a_file(tmp_path / "package.json", content)
    with pytest.raises(InvalidPackageError) as expired:
        read_package(path, clock.now() + timedelta(days=31))
    assert expired.value.code == "packageExpired"

    a_file(path, content.replace(b'"payload":"eyJ', b'"payload":"eyK'))
    with pytest.raises(InvalidPackageError):
        read_package(path, clock.now())
