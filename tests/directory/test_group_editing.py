"""What the editor of groups asks: what devices have, what a rule would do to some of them, what a group is used by."""

from __future__ import annotations

from sqlalchemy import Connection
from tests.support.office import Office
from tests.support.samples import TENANT_ID, a_device, a_tenant, counted_id, device_id

from shieldwall.contract.ids import TenantId
from shieldwall.policy.membership import parse_rule
from shieldwall.server.directory import groups, scope_tags
from shieldwall.server.directory.attributes import values_in_use
from shieldwall.server.directory.group_rules import preview_rule, try_rule
from shieldwall.server.directory.group_uses import uses_of
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.storage.access import scoping
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.records import Group
from shieldwall.server.storage.tables.schema import devices as device_rows
from shieldwall.server.storage.tenants import tenants

LINUX = 'device.deviceOSType -eq "Linux"'
OTHER = TenantId(counted_id("1", 1))


def fill(connection: Connection) -> None:
    tenants.add(connection, a_tenant(id=OTHER, domain="fabrikam.example"))
    for device in (
        a_device(1, os_version="Debian 12", tags=("web", "edge")),
        a_device(2, os_version="Debian 12", tags=("web",)),
        a_device(3, os_version="13", os_type="Windows", manufacturer="", tags=()),
        a_device(4, os_version="gone", state=DeviceState.RETIRED),
        a_device(5, os_version="elsewhere", tenant_id=OTHER),
    ):
        devices.add(connection, device)


def a_group(connection: Connection, office: Office, name: str, rule: str | None = None) -> Group:
    draft = GroupDraft(display_name=name, mail_nickname="group", membership_rule=rule)
    return groups.create_group(connection, office.acting, draft)


def test_values_in_use_come_commonest_first(connection: Connection) -> None:
    fill(connection)

    assert values_in_use(connection, TENANT_ID, "deviceOSVersion") == ("Debian 12", "13")
    assert values_in_use(connection, TENANT_ID, "deviceTag") == ("web", "edge")
    assert values_in_use(connection, TENANT_ID, "deviceManufacturer") == ("Fabrikam",)
    assert values_in_use(connection, TENANT_ID, "accountEnabled") == ()
    assert values_in_use(connection, TENANT_ID, "memberOf") == ()
    seen = (device_rows.c.id == device_id(3),)
    assert values_in_use(connection, TENANT_ID, "deviceOSVersion", seen) == ("13",)


def test_a_trial_of_everybody_is_the_preview(connection: Connection, office: Office) -> None:
    fill(connection)
    group = a_group(connection, office, "Windows", 'device.deviceOSType -eq "Windows"')
    rule = parse_rule(LINUX)

    trial = try_rule(connection, TENANT_ID, group.id, rule)

    assert trial.is_everybody
    assert trial.looked_at == 3
    assert trial.moves == preview_rule(connection, TENANT_ID, group.id, rule)
    assert trial.named == trial.moves.gained == {device_id(1), device_id(2)}
    assert trial.moves.lost == {device_id(3)}


def test_a_trial_of_some_says_of_how_many(connection: Connection, office: Office) -> None:
    fill(connection)
    group = a_group(connection, office, "Everybody", "device.deviceId -ne null")

    trial = try_rule(connection, TENANT_ID, group.id, parse_rule(LINUX), most=1)
    new = try_rule(connection, TENANT_ID, None, parse_rule(LINUX), most=2)

    assert (trial.is_everybody, trial.looked_at, trial.named) == (False, 1, frozenset({device_id(1)}))
    assert not trial.moves.gained
    assert not trial.moves.lost
    assert (new.is_everybody, new.moves.gained) == (False, frozenset({device_id(1), device_id(2)}))


def test_what_names_a_group_is_told(connection: Connection, office: Office) -> None:
    fill(connection)
    group = a_group(connection, office, "Web")
    assert uses_of(connection, TENANT_ID, group.id).are_none

    asking = a_group(connection, office, "Asks", f"device.memberOf -any (group.objectId -in ['{group.id}'])")
    tag = scope_tags.create_tag(connection, office.acting, "Berlin", "")
    scope_tags.tag_group(connection, office.acting, group.id, [tag.id])

    uses = uses_of(connection, TENANT_ID, group.id)
    assert [each.id for each in uses.asking] == [asking.id]
    assert [each.display_name for each in uses.scope_tags] == ["Berlin"]
    assert not uses.are_none


def test_tags_of_a_group_leave_those_of_others(connection: Connection, office: Office) -> None:
    one, other = a_group(connection, office, "One"), a_group(connection, office, "Other")
    first, second = (scope_tags.create_tag(connection, office.acting, name, "") for name in ("A", "B"))
    scope_tags.tag_group(connection, office.acting, one.id, [first.id, second.id])
    scope_tags.tag_group(connection, office.acting, other.id, [first.id])

    scope_tags.tag_group(connection, office.acting, one.id, [second.id, "0"])

    assert scoping.tags_of_group(connection, TENANT_ID, one.id) == {second.id}
    assert scoping.tags_of_group(connection, TENANT_ID, other.id) == {first.id}
