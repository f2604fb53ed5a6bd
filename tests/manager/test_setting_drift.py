"""Drift by setting: what each device reported last, added up over the fleet."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.manager.test_statuses import reports, to_all
from tests.support.manager_world import CLOUD, DIAGNOSTIC, World
from tests.support.samples import TENANT_ID, device_id

from shieldwall.contract.status import SettingState, SettingStatus
from shieldwall.server.manager.standing import standing_of_fleet

STATUSES = st.builds(
    SettingStatus,
    setting=st.sampled_from([CLOUD, DIAGNOSTIC]),
    state=st.sampled_from(SettingState),
    code=st.sampled_from([None, "repaired"]),
    value=st.sampled_from([None, "true"]),
    read_back=st.sampled_from([None, "true", "false"]),
    effective=st.sampled_from([None, True, False]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(st.lists(st.lists(STATUSES, max_size=2, unique_by=lambda each: each.setting), max_size=4))
def test_drift_is_what_the_devices_said(world: World, told: list[list[SettingStatus]]) -> None:
    with world.undone() as connection:
        to_all(world, connection)
        for number, said in enumerate(told, start=1):
            world.join(connection, number)
            reports(connection, device_id(number), *said)

        drift = standing_of_fleet(connection, world.catalog, TENANT_ID).drift

    every = [each for said in told for each in said]
    for setting in (CLOUD, DIAGNOSTIC):
        mine = [each for each in every if each.setting == setting]
        repaired = sum(each.code == "repaired" for each in mine)
        wrong = sum(
            each.value is not None
            and each.state not in {SettingState.NOT_APPLICABLE, SettingState.CONFLICT}
            and (each.effective is False or each.read_back not in {None, each.value})
            for each in mine
        )
        found = drift.get(setting)
        assert ((0, 0) if found is None else (found.repaired, found.drifted)) == (repaired, wrong)
