"""A scope that reaches many devices is noted, and each is decided when it takes that up."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sqlalchemy import Connection
from tests.manager.test_enforcement_scope import DEFAULT, OFF, code_of, counts, events
from tests.manager.test_targeting import ALL, policies_of
from tests.support.databases import on_postgresql_alone
from tests.support.manager_world import World, a_draft
from tests.support.samples import TENANT_ID

from shieldwall.contract.ids import DeviceId
from shieldwall.contract.messages import MANAGED_CODE
from shieldwall.policy.enrollment import Reason
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import hold_device
from shieldwall.server.manager.assignments import assign
from shieldwall.server.manager.catching_up import catch_up
from shieldwall.server.manager.enforcement_scope import get_scope, preview_scope, save_scope
from shieldwall.server.manager.sweeping import look, sweep
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.policies import aims

HOLDER: Final = "00000000-0000-4000-8000-0000000000aa"
NOT_ALLOWED: Final = 8


def a_fleet(world: World, connection: Connection, count: int) -> tuple[Acting, list[DeviceId]]:
    """Let devices join that enforce a policy; return them, and somebody to whom they are many."""
    joined = [world.join(connection, number) for number in range(1, count + 1)]
    policy = world.policies.create(connection, world.acting, a_draft())
    assign(connection, world.acting, policy.id, [ALL])
    return replace(world.acting, most_at_once=0), joined


def swept(connection: Connection, acting: Acting) -> None:
    """Let the server bring everybody up to date."""
    while (looked := look(connection, TENANT_ID)) is not None:
        assert sweep(connection, acting, looked, HOLDER) is not None


def test_saving_decides_for_all_and_writes_no_device(world: World) -> None:
    with world.undone() as connection:
        acting, joined = a_fleet(world, connection, 3)

        effect = save_scope(connection, acting, OFF)

        assert counts(effect) == ({}, {("Linux", Reason.TENANT_SWITCH_OFF): 3})
        assert (effect.managed_before, effect.managed_after) == (3, 0)
        assert get_scope(connection, TENANT_ID) == OFF
        assert [each["released"] for each in events(connection, "enforcementScope.changed")] == [3]
        assert {code_of(connection, each) for each in joined} == {MANAGED_CODE}
        assert aims.behind(connection, joined)[TENANT_ID].keys() == set(joined)


def test_each_device_is_decided_when_it_comes_and_the_rest_by_the_server(world: World) -> None:
    with world.undone() as connection:
        acting, (first, *others) = a_fleet(world, connection, 3)
        save_scope(connection, acting, OFF)

        caught = catch_up(connection, acting, [first])

        assert caught.reached == caught.aimed_anew == {first}
        assert (code_of(connection, first), policies_of(connection, first)) == (NOT_ALLOWED, set())
        assert {code_of(connection, each) for each in others} == {MANAGED_CODE}

        swept(connection, acting)

        assert {code_of(connection, each) for each in others} == {NOT_ALLOWED}
        assert all(policies_of(connection, each) == set() for each in others)
        assert not aims.is_open(connection, TENANT_ID)


def test_what_another_scope_would_do_is_said_as_if_all_had_taken_up_this_one(world: World) -> None:
    with world.undone() as connection:
        acting, joined = a_fleet(world, connection, 3)
        save_scope(connection, acting, OFF)
        catch_up(connection, acting, joined[:1])

        said = preview_scope(connection, TENANT_ID, DEFAULT)
        done = save_scope(connection, acting, DEFAULT)

        assert said == done
        assert counts(done) == ({("Linux", Reason.TENANT_SWITCH_OFF): 3}, {})
        swept(connection, acting)
        assert {code_of(connection, each) for each in joined} == {MANAGED_CODE}
        assert all(policies_of(connection, each) for each in joined)


def test_whoever_is_about_to_change_a_device_sees_it_as_the_scope_says(world: World) -> None:
    with world.undone() as connection:
        acting, (device, _other) = a_fleet(world, connection, 2)
        save_scope(connection, acting, OFF)

        assert hold_device(connection, acting, device).enrollment_code == NOT_ALLOWED

        catch_up(connection, acting, [device])
        assert policies_of(connection, device) == set(), "also where it was decided before"


def test_a_device_that_the_program_before_brought_up_to_date_is_decided_at_the_end(world: World) -> None:
    with world.undone() as connection:
        acting, (passed, other) = a_fleet(world, connection, 2)
        save_scope(connection, acting, OFF)
        aims.set_reached(connection, [passed], aims.version(connection, TENANT_ID))

        swept(connection, acting)

        assert {code_of(connection, each) for each in (passed, other)} == {NOT_ALLOWED}
        assert policies_of(connection, passed) == set()
        assert not aims.is_open(connection, TENANT_ID)


@on_postgresql_alone
def test_nobody_waits_for_a_device_that_somebody_else_holds(world: World) -> None:
    with world.database.write() as connection:
        acting, (held, free) = a_fleet(world, connection, 2)
        save_scope(connection, acting, OFF)
    with world.database.write() as theirs, world.undone() as connection:
        devices.hold(theirs, held)

        caught = catch_up(connection, acting, [held, free])

        assert caught.reached == {free}
        assert caught.left == {held}
        assert (code_of(connection, held), code_of(connection, free)) == (MANAGED_CODE, NOT_ALLOWED)
