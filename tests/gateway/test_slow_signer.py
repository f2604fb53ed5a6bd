"""While the signer takes its time nobody else waits, and what changed meanwhile counts. On both engines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.databases import migrated_database_url
from tests.support.gateway_device import FACTS, NOBODY, GatewayDevice
from tests.support.gateway_world import GatewayWorld, Reply, gateway_world
from tests.support.identity_requests import key_change, own, renewal

from shieldwall.server.inventory.packages import revoke_package
from shieldwall.server.signer.errors import SignerUnavailableError
from shieldwall.server.signer.service import SignerService
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices, spent_keys
from shieldwall.server.storage.events import audit
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.records import Page
from shieldwall.trust.device_certificate import read_certificate
from shieldwall.trust.device_key import DeviceKey

__all__ = ["migrated_database_url"]

LONGEST_SECONDS = 60.0
"""For so long a test waits for what is sure to come; a failure takes that long, nothing else does."""

Ask = Callable[[GatewayDevice], Reply]


@dataclass
class SlowSigner:
    """Holds every certificate back until it may go on; ``asked`` is released once for each that is wanted."""

    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    may_go_on: threading.Event = field(default_factory=threading.Event)
    issued: list[str] = field(default_factory=list)

    def is_asked(self) -> None:
        assert self.asked.acquire(timeout=LONGEST_SECONDS)


@contextmanager
def slow_signer(patched: pytest.MonkeyPatch) -> Iterator[SlowSigner]:
    slow, issue = SlowSigner(), SignerService.issue_certificate

    def held_back(service: SignerService, **wanted: Any) -> str:
        slow.asked.release()
        assert slow.may_go_on.wait(LONGEST_SECONDS)
        slow.issued.append(issue(service, **wanted))
        return slow.issued[-1]

    with patched.context() as patching:
        patching.setattr(SignerService, "issue_certificate", held_back)
        try:
            yield slow
        finally:
            slow.may_go_on.set()


@pytest.fixture
def world(tmp_path: Path, migrated_database_url: str) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path / "data", migrated_database_url) as made:
        yield made


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def arrived(world: GatewayWorld) -> GatewayDevice:
    made = GatewayDevice(world)
    assert made.register().status == 201
    assert made.check_in().status == 200
    return made


def stored(device: GatewayDevice) -> Device:
    with device.world.services.database.read() as connection:
        return devices.get(connection, device.device_id)


def traces(world: GatewayWorld, activity: str) -> int:
    with world.services.database.read() as connection:
        events = audit.list_events(connection, world.settings.tenant_id, Page(size=100))
    return sum(each.activity == activity for each in events)


def disabled(device: GatewayDevice) -> None:
    with device.world.services.database.write() as connection:
        devices.put(connection, replace(devices.get(connection, device.device_id), state=DeviceState.DISABLED))


def test_others_are_acknowledged_while_certificates_are_waited_for(
    world: GatewayWorld, beside: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewing, other, comer, package = arrived(world), arrived(world), GatewayDevice(world), world.package()
    body, path = renewal(renewing), own(renewing, "renew")
    registration = comer.registration(package)
    with slow_signer(monkeypatch) as signer:
        waiting = [
            beside.submit(renewing.send, path, body),
            beside.submit(comer.send, f"{comer.enrollment}/device", registration),
        ]
        signer.is_asked()
        signer.is_asked()

        assert other.check_in(facts=FACTS).status in {200, 204}
        assert other.send(own(other, "offboard"), other.numbered()).status == 204  # it aims anew, as those who wait do
        assert not any(each.done() for each in waiting)
        signer.may_go_on.set()
        renewed, registered = (each.result(LONGEST_SECONDS) for each in waiting)

    assert (renewed.status, registered.status) == (200, 201)
    assert stored(renewing).certificate == renewed.json["certificate"]
    comer.device_id = registered.json["deviceId"]
    assert stored(comer).certificate == registered.json["certificate"]
    assert read_certificate(stored(comer).certificate).key == comer.key.thumbprint
    assert comer.send(f"{comer.enrollment}/device", registration).json["certificate"] == registered.json["certificate"]
    assert renewing.send(path, body).json["certificate"] == renewed.json["certificate"]


def test_a_device_disabled_while_its_certificate_is_signed_gets_nothing(
    world: GatewayWorld, beside: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewing, changing, new = arrived(world), arrived(world), DeviceKey.generate()
    before = [stored(renewing), stored(changing)]
    renew, change = renewal(renewing), key_change(changing, new)
    with slow_signer(monkeypatch) as signer:
        waiting = [
            beside.submit(renewing.send, own(renewing, "renew"), renew),
            beside.submit(changing.send, own(changing, "keyChange"), change),
        ]
        signer.is_asked()
        signer.is_asked()
        disabled(renewing)
        disabled(changing)
        signer.may_go_on.set()
        replies = [each.result(LONGEST_SECONDS) for each in waiting]

    assert len(signer.issued) == 2
    assert [(each.status, "certificate" in each.json) for each in replies] == [(401, False)] * 2
    after = [stored(renewing), stored(changing)]
    assert [each.certificate for each in after] == [each.certificate for each in before]
    assert after[1].key_thumbprint == before[1].key_thumbprint
    with world.services.database.read() as connection:
        assert spent_keys.find(connection, changing.key.thumbprint) is None
        assert devices.find_by_key(connection, new.thumbprint) is None
    assert (traces(world, "device.certificateRenewed"), traces(world, "device.keyChanged")) == (0, 0)


def test_a_package_revoked_while_a_certificate_is_signed_lets_nobody_in(
    world: GatewayWorld, beside: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    comer, package = GatewayDevice(world), world.package()
    with slow_signer(monkeypatch) as signer:
        waiting = beside.submit(comer.register, package)
        signer.is_asked()
        with world.services.database.write() as connection:
            revoke_package(connection, world.acting, package.package_id)
        signer.may_go_on.set()
        reply = waiting.result(LONGEST_SECONDS)

    assert (reply.status, reply.code, len(signer.issued)) == (403, "packageRevoked", 1)
    with world.services.database.read() as connection:
        assert devices.find_by_key(connection, comer.key.thumbprint) is None
        assert packages.get(connection, package.package_id).uses == 0
    assert comer.device_id == NOBODY


def test_a_request_sent_twice_at_once_has_one_effect_and_one_answer(
    world: GatewayWorld, beside: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewing, changing, comer, package = arrived(world), arrived(world), GatewayDevice(world), world.package(max_uses=1)
    for device, path, body, activity in (
        (renewing, own(renewing, "renew"), renewal(renewing), "device.certificateRenewed"),
        (changing, own(changing, "keyChange"), key_change(changing, DeviceKey.generate()), "device.keyChanged"),
        (comer, f"{comer.enrollment}/device", comer.registration(package), "device.registered"),
    ):
        before = traces(world, activity)
        with slow_signer(monkeypatch) as signer:
            waiting: list[Future[Reply]] = [beside.submit(device.send, path, body) for _ in range(2)]
            signer.is_asked()
            signer.is_asked()  # neither has had its effect: both were told that they may have one
            signer.may_go_on.set()
            first, second = (each.result(LONGEST_SECONDS) for each in waiting)

        assert first.status == second.status == (201 if device is comer else 200)
        assert first.json["certificate"] == second.json["certificate"]
        device.device_id = first.json.get("deviceId", device.device_id)
        assert stored(device).certificate == first.json["certificate"]
        assert traces(world, activity) == before + 1


def test_without_an_answer_of_the_signer_nothing_has_happened(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: Any, **__: Any) -> str:
        raise SignerUnavailableError("The signer does not answer.")

    device, comer, package = arrived(world), GatewayDevice(world), world.package()
    before, body, registration = stored(device), renewal(device), comer.registration(package)
    with monkeypatch.context() as patched:
        patched.setattr(SignerService, "issue_certificate", unavailable)
        for sender, path, sent in (
            (device, own(device, "renew"), body),
            (comer, f"{comer.enrollment}/device", registration),
        ):
            reply = sender.send(path, sent)
            assert (reply.status, reply.code) == (503, "signerUnavailable")
    assert stored(device) == before

    assert device.send(own(device, "renew"), body).status == 200  # the number and the nonce are still unused
    assert comer.send(f"{comer.enrollment}/device", registration).status == 201
