"""A device is told how it is enrolled; one that does not understand that gets a target without it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from tests.manager.test_check_in import ALL, FACTS, Laptop, a_report
from tests.manager.test_enforcement_scope import DEFAULT, OFF, TAGGED, says
from tests.support.manager_world import World, a_draft
from tests.support.older_agent import PROTOCOL as OLDER
from tests.support.older_agent import OlderManifest, older_manifest
from tests.support.samples import TENANT_ID, device_id

from shieldwall.contract.ids import DeviceId
from shieldwall.contract.messages import MANAGED_CODE, PROTOCOL, UNPROTECTED, CheckInAnswer, Manifest
from shieldwall.contract.strict_json import decode, digest_of
from shieldwall.contract.target import ORDER_TO_LEAVE, Target, target_digest
from shieldwall.policy.enrollment import TAG, Coverage, EnforcementScope
from shieldwall.policy.protection import ProtectionSettings
from shieldwall.server.directory.devices import change_tags
from shieldwall.server.inventory.offboarding import order_to_leave
from shieldwall.server.manager.assignments import assign
from shieldwall.server.manager.enforcement_scope import save_scope
from shieldwall.server.manager.protection import replace_settings
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.devices import devices
from shieldwall.trust.strict_base64 import decode as from_base64

NOTHING = target_digest(())
MDM: dict[str, Any] = {"managed_elsewhere": "Intune", "manager": "mdm"}
BESIDE: dict[str, Any] = {"managed_elsewhere": "ConfigMgr", "manager": "configurationManager"}

scopes = st.builds(
    EnforcementScope,
    is_allowed=st.booleans(),
    linux=st.sampled_from(Coverage),
    includes_domain_controllers=st.just(False),
    configuration_manager_authority=st.booleans(),
)
facts = st.sampled_from(
    [{}, MDM, BESIDE, {"unsuitable": "unsupportedOs"}, {"unsuitable": "nonPersistentDesktop"}, {"os_type": "Windows"}]
)
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("scope"), scopes),
        st.tuples(st.just("facts"), facts),
        st.tuples(st.just("tagged"), st.booleans()),
        st.tuples(st.just("leave"), st.none()),
    ),
    min_size=1,
    max_size=6,
)


def target_of(connection: Connection, device: DeviceId) -> Target:
    digest = check_ins.get(connection, device).target_digest
    assert digest is not None
    return targets.get(connection, TENANT_ID, digest)


@pytest.fixture
def laptop(world: World) -> Laptop:
    with world.database.write() as connection:
        device = world.join(connection, 1)
        policy = world.policies.create(connection, world.acting, a_draft())
        assign(connection, world.acting, policy.id, [ALL])
        return Laptop(world, device)


def manifest_of(answer: CheckInAnswer | None) -> Manifest:
    assert answer is not None
    assert answer.manifest is not None
    return decode(from_base64(answer.manifest.payload), Manifest)


def older_of(answer: CheckInAnswer | None) -> OlderManifest:
    assert answer is not None
    assert answer.manifest is not None
    return older_manifest(answer.manifest)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happened=happenings, protocol=st.sampled_from([OLDER, PROTOCOL]))
def test_the_code_in_the_target_is_always_that_of_the_device(
    world: World, happened: list[tuple[str, Any]], protocol: int
) -> None:
    with world.undone() as connection:
        device, other = world.join(connection, 1, tags=()), world.join(connection, 2, tags=())
        check_ins.set_protocol(connection, device, protocol)
        for seq, (kind, what) in enumerate(happened, start=1):
            match kind:
                case "scope":
                    save_scope(connection, world.acting, what)
                case "tagged":
                    change_tags(
                        connection, world.acting, device, add=[TAG] if what else [], remove=[] if what else [TAG]
                    )
                case "leave":
                    order_to_leave(connection, world.acting, other)
                case _:
                    says(world, connection, device, seq, protocol=protocol, **what)

            enrolled = devices.get(connection, device)
            target = target_of(connection, device)
            assert target.enrollment == (enrolled.enrollment_code if protocol == PROTOCOL else MANAGED_CODE)
            if enrolled.enrollment_code != MANAGED_CODE:
                assert target.items == ()
        if ("leave", None) in happened:
            assert check_ins.get(connection, other).target_digest == ORDER_TO_LEAVE


def test_devices_that_are_left_out_for_different_reasons_are_told_so(world: World) -> None:
    with world.database.write() as connection:
        device, other = world.join(connection, 1, tags=()), world.join(connection, 2, tags=())
        says(world, connection, other, **MDM)
        save_scope(connection, world.acting, TAGGED)

        assert [target_of(connection, each).enrollment for each in (device, other)] == [2, 3]

        check_ins.clear_sync(connection, device)
        check_ins.clear_sync(connection, other)
        save_scope(connection, world.acting, OFF)

        assert [target_of(connection, each).enrollment for each in (device, other)] == [8, 3]
        assert check_ins.due(connection, [device, other]) == {device}, "to be told at once"


def test_a_check_in_brings_the_word_and_later_that_all_is_well(laptop: Laptop, world: World) -> None:
    with world.database.write() as connection:
        laptop.settle(connection)
        save_scope(connection, world.acting, OFF)

        left_out = manifest_of(laptop.check_in(connection))
        assert (left_out.enrollment, left_out.items) == (8, ())
        assert laptop.check_in(connection) is None

        save_scope(connection, world.acting, DEFAULT)
        taken = manifest_of(laptop.check_in(connection))
        assert (taken.enrollment, len(taken.items)) == (MANAGED_CODE, 1)


def test_an_older_agent_is_told_what_to_enforce_and_nothing_it_does_not_know(laptop: Laptop, world: World) -> None:
    report = a_report()
    with world.database.write() as connection:
        replace_settings(connection, world.acting, ProtectionSettings(enabled=True))
        laptop.have = msgspec.structs.replace(laptop.have, facts=digest_of(FACTS), status=digest_of(report))
        managed = older_of(laptop.check_in(connection, protocol=OLDER, facts=FACTS, report=report))
        assert len(managed.items) == 1
        assert laptop.check_in(connection, protocol=OLDER) is None, "the two agree"
        assert check_ins.get(connection, laptop.id).target_digest == managed.target

        save_scope(connection, world.acting, OFF)
        assert older_of(laptop.check_in(connection, protocol=OLDER)).target == NOTHING
        assert laptop.check_in(connection, protocol=OLDER) is None

        save_scope(connection, world.acting, DEFAULT)
        assert older_of(laptop.check_in(connection, protocol=OLDER)).target == managed.target

        order_to_leave(connection, world.acting, laptop.id)
        assert older_of(laptop.check_in(connection, protocol=OLDER)).target == NOTHING
        assert laptop.check_in(connection, protocol=OLDER) is None, "it has let go, and knows no order"


def test_an_agent_that_becomes_newer_is_told_everything_in_the_same_check_in(laptop: Laptop, world: World) -> None:
    with world.database.write() as connection:
        laptop.settle(connection)
        save_scope(connection, world.acting, OFF)
        older_of(laptop.check_in(connection, protocol=OLDER))

        assert manifest_of(laptop.check_in(connection)).enrollment == 8
        assert laptop.check_in(connection) is None
        assert older_of(laptop.check_in(connection, protocol=OLDER)).target == NOTHING, "and back"

        order_to_leave(connection, world.acting, laptop.id)
        assert manifest_of(laptop.check_in(connection)).offboard


def test_protection_reaches_an_agent_once_it_understands_it(laptop: Laptop, world: World) -> None:
    with world.database.write() as connection:
        replace_settings(connection, world.acting, ProtectionSettings(enabled=True))
        laptop.check_in(connection, protocol=OLDER)
        assert target_of(connection, laptop.id).protection == UNPROTECTED

        assert manifest_of(laptop.check_in(connection)).protection.tamper


def test_an_agent_from_after_this_server_counts_as_the_newest_that_it_knows(laptop: Laptop, world: World) -> None:
    with world.database.write() as connection:
        laptop.check_in(connection, protocol=2**53 - 1)

        assert check_ins.get(connection, device_id(1)).protocol == PROTOCOL
