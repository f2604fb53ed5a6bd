"""Who comes with a package that does not let them in (bad-inputs 9.2), over real sockets, on both engines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update
from tests.support.databases import shared_migrated_database_url
from tests.support.gateway_device import GatewayDevice
from tests.support.gateway_world import GatewayWorld, Reply, gateway_world
from tests.support.whole_database import everything

from shieldwall.contract.ids import DeviceId
from shieldwall.server.inventory.packages import revoke_package
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tables.schema import onboarding_packages
from shieldwall.trust.device_key import DeviceKey, public_key_info
from shieldwall.trust.onboarding import OnboardingPackage

__all__ = ["shared_migrated_database_url"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, shared_migrated_database_url: str) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path_factory.mktemp("server") / "data", shared_migrated_database_url) as made:
        yield made


def refused(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.code


def came_with(world: GatewayWorld, package: OnboardingPackage) -> tuple[int, int]:
    """How often a package counts as used, and how many devices it let in."""
    with world.services.database.read() as connection:
        return (
            packages.get(connection, package.package_id).uses,
            len(packages.list_devices(connection, package.tenant_id, package.package_id, Page(size=1_000))),
        )


def set_package(world: GatewayWorld, package: OnboardingPackage, **columns: Any) -> None:
    mine = onboarding_packages.c.id == package.package_id
    with world.services.database.write() as connection:
        connection.execute(update(onboarding_packages).where(mine).values(columns))


def test_a_proof_for_another_key_package_or_body_is_refused(world: GatewayWorld) -> None:
    package, other = world.package(), world.package()
    newcomer = GatewayDevice(world)
    path = f"{newcomer.enrollment}/device"
    of_the_other: Any = SimpleNamespace(
        package_id=package.package_id, tenant_id=package.tenant_id, onboarding_key=other.onboarding_key
    )
    unknown: Any = SimpleNamespace(
        package_id="00000000-0000-4000-8000-000000000000",
        tenant_id=package.tenant_id,
        onboarding_key=package.onboarding_key,
    )
    sound = newcomer.registration(package)
    bodies = {
        "for another key": newcomer.registration(package, spki=public_key_info(DeviceKey.generate().public_key)),
        "made up": newcomer.registration(package, mac="A" * 43),
        "as long as a message may be": newcomer.registration(package, mac="A" * 64),
        "none": newcomer.registration(package, mac=""),
        "no base64": newcomer.registration(package, mac="\u00e9" * 43),
        "by the secret of another package": newcomer.registration(of_the_other),
        "for a package that is not there": newcomer.registration(unknown),
        "for another body": sound.replace(b'"laptop"', b'"desktop"'),
        "for another platform": sound.replace(b'"DeviceType":"Linux"', b'"DeviceType":"macOS"'),
    }
    before = everything(world.services.database)
    for case, body in bodies.items():
        assert body != sound
        assert refused(newcomer.send(path, body)) == (403, "badOnboardingProof"), case
    assert everything(world.services.database) == before
    assert newcomer.send(path, sound).status == 201


def test_a_package_counts_to_its_last_second(world: GatewayWorld) -> None:
    expiring = world.package(lifetime=timedelta(minutes=1))
    world.clock.forward(seconds=59)
    assert GatewayDevice(world).register(expiring).status == 201
    for _ in range(2):  # at its end, and a second later
        world.clock.forward(seconds=1)
        assert refused(GatewayDevice(world).register(expiring)) == (403, "packageExpired")
    assert came_with(world, expiring) == (1, 1)
    with world.services.database.read() as connection:
        raised = [each.title for each in alerts.list_alerts(connection, world.acting.tenant_id, Page())]
    assert raised.count("The expired package Test is still tried") == 1


def test_a_package_before_its_time_lets_nobody_in(world: GatewayWorld) -> None:
    package = world.package()
    set_package(world, package, not_before=world.clock.now() + timedelta(seconds=1))
    assert refused(GatewayDevice(world).register(package)) == (403, "packageNotYetValid")
    assert came_with(world, package) == (0, 0)


def test_a_revoked_package_lets_nobody_in(world: GatewayWorld) -> None:
    package = world.package()
    with world.services.database.write() as connection:
        revoke_package(connection, world.acting, package.package_id)
    assert refused(GatewayDevice(world).register(package)) == (403, "packageRevoked")
    assert came_with(world, package) == (0, 0)


def test_a_package_revoked_while_a_device_asks_does_not_let_it_in(world: GatewayWorld) -> None:
    package, newcomer = world.package(), GatewayDevice(world)
    body = newcomer.registration(package)
    with ThreadPoolExecutor(1) as pool:
        with world.services.database.write() as connection:
            revoke_package(connection, world.acting, package.package_id)
            asking = pool.submit(newcomer.send, f"{newcomer.enrollment}/device", body)
            time.sleep(0.5)  # by now it waits for the row, or for the database, that this transaction holds
            assert not asking.done()
        reply = asking.result(timeout=30)

    assert refused(reply) == (403, "packageRevoked")
    assert came_with(world, package) == (0, 0)


def test_a_package_revoked_among_many_requests_lets_in_whom_it_counted(world: GatewayWorld) -> None:
    package = world.package()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(GatewayDevice(world).register_in_the_end, package) for _ in range(30)]
        asked[5].result(timeout=30)
        with world.services.database.write() as connection:
            revoke_package(connection, world.acting, package.package_id)
        after = GatewayDevice(world).register_in_the_end(package)
    replies = [each.result() for each in asked]

    assert refused(after) == (403, "packageRevoked")
    let_in = [DeviceId(each.json["deviceId"]) for each in replies if each.status == 201]
    assert {each.code for each in replies if each.status != 201} <= {"packageRevoked"}
    assert came_with(world, package) == (len(let_in), len(let_in))
    with world.services.database.read() as connection:
        assert all(devices.find(connection, each) is not None for each in let_in)


def test_of_fifty_at_once_as_many_come_in_as_uses_are_left(world: GatewayWorld) -> None:
    package = world.package(max_uses=500)
    set_package(world, package, uses=463)
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda _: GatewayDevice(world).register_in_the_end(package), range(50)))

    assert [reply.status for reply in replies].count(201) == 37
    assert {refused(reply) for reply in replies if reply.status != 201} == {(403, "packageExhausted")}
    assert came_with(world, package) == (500, 37)
    assert refused(GatewayDevice(world).register(package)) == (403, "packageExhausted")
    assert came_with(world, package) == (500, 37)


def test_a_package_is_for_its_platforms_alone(world: GatewayWorld) -> None:
    package, newcomer = world.package(platforms=("linux",)), GatewayDevice(world)
    body = newcomer.registration(package, device_type="macOS")
    assert refused(newcomer.send(f"{newcomer.enrollment}/device", body)) == (403, "platformNotAllowed")
    assert came_with(world, package) == (0, 0)
