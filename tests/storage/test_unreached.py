"""Devices without a policy are found alike by their targets and by going through all devices."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from tests.support.samples import NOON, TENANT_ID, a_device, a_tenant, counted_id, device_id

from shieldwall.contract.ids import Digest, PolicyId, TenantId
from shieldwall.contract.messages import ManifestItem
from shieldwall.server.storage.check_ins import check_ins, standings, targets
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.reports.unreached import list_unreached
from shieldwall.server.storage.tenants import tenants

OTHER = TenantId(counted_id("1", 1))
KINDS = st.sampled_from(["none", "empty", "policy", "other policy", "retired", "of another"])


def item(number: int) -> ManifestItem:
    return ManifestItem(policy_id=PolicyId(counted_id("a", number)), revision=1, digest=Digest("0" * 64), length=2)


def add(connection: Connection, number: int, kind: str) -> None:
    state = DeviceState.RETIRED if kind == "retired" else DeviceState.ACTIVE
    tenant = OTHER if kind == "of another" else TENANT_ID
    devices.add(connection, a_device(number, state=state, tenant_id=tenant))
    check_ins.add(connection, device_id(number))
    items = {"empty": (), "retired": (), "of another": (), "policy": (item(1),), "other policy": (item(2),)}.get(kind)
    if items is not None:
        digest = targets.keep(connection, tenant, items)
        check_ins.set_target(connection, [device_id(number)], digest, NOON)


def listed(connection: Connection, size: int, few: int) -> list[str]:
    found: list[str] = []
    page = Page(size=size)
    while True:
        some = list_unreached(connection, TENANT_ID, page, few=few)
        found += some
        if len(some) < size:
            return found
        page = Page(size=size, after=some[-1])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.lists(KINDS, max_size=8), st.integers(1, 4))
def test_both_ways_find_the_same_devices(database: Database, kinds: list[str], size: int) -> None:
    with database.engine.connect() as connection:
        for tenant, domain in ((TENANT_ID, "contoso.example"), (OTHER, "fabrikam.example")):
            tenants.add(connection, a_tenant(id=tenant, domain=domain))
        for number, kind in enumerate(kinds, start=1):
            add(connection, number, kind)

        wanted = [device_id(number) for number, kind in enumerate(kinds, start=1) if kind in {"none", "empty"}]
        assert listed(connection, size, few=100) == wanted
        assert listed(connection, size, few=0) == wanted
        in_use = standings.targets_in_use(connection, TENANT_ID)
        kept = {"empty", "retired"} & set(kinds)
        assert len(in_use) == bool(kept) + len({"policy", "other policy"} & set(kinds))
        connection.rollback()
