"""What an attacker meets behind the name of a device: whatever it says is text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.manager_world import CLOUD, a_draft
from tests.support.samples import NOON, TENANT_ID

from shieldwall.contract.ids import DeviceId, SettingId
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.portal.devices.device_actions import ACTIONS
from shieldwall.server.storage.check_ins import check_ins, statuses
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.groups import membership_events
from shieldwall.server.storage.groups.membership_events import Change
from shieldwall.server.storage.records import AssignmentKind, MembershipCause

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></bdi></td></table><h1>owned",
    "' onmouseover='alert(1)",
    "{{ tenant }}{% raw %}",
    "javascript:alert(1)",
    "=cmd()|'/c calc'!A1",
    "../../etc/passwd?x=%00#",
    "\u202emoc.osotnoc",
    "Ж" * 256,
    "x" * 256,
    "&amp;&lt;",
    "\x1b[31mred\x1b[0m",
    "'; DROP TABLE devices; --",
    "😀",
    "",
    "   ",
)


class Attributes(HTMLParser):
    """Reads a page as a browser does: what stands within a value is no attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the library names it
        self.found |= {name for name, _ in attrs}


def attributes_of(page: str) -> set[str]:
    parser = Attributes()
    parser.feed(page)
    assert {"href", "class", "value"} <= parser.found
    return parser.found


def device_of(world: AdminWorld, **changes: object) -> DeviceId:
    with world.writing() as connection:
        return world.manager.join(connection, 1, **changes)


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_a_device_calls_itself_is_text_on_every_page(world: AdminWorld, ada: Client, name: str) -> None:
    device = device_of(
        world,
        display_name=name,
        os_version=name,
        os_type=name[:32],
        providers={name: name},
        managed_elsewhere=name,
        agent_version=name[:32],
        tags=(name,),
    )
    with world.writing() as connection:
        manager = world.manager
        group = manager.group(connection, 1, device)
        change = Change(
            id=manager.new_id(),
            tenant_id=TENANT_ID,
            group_id=group,
            at=NOON,
            joined=True,
            cause=MembershipCause.ADDED,
            actor=name[:64],
        )
        membership_events.add(connection, change, [device])
        policy = manager.policies.create(
            connection, manager.acting, a_draft(name[:200] if name.isprintable() and name.strip() else "Policy")
        )
        assign(connection, manager.acting, policy.id, [Assigned(kind=AssignmentKind.ALL_DEVICES)])
        told = SettingStatus(
            setting=CLOUD,
            state=SettingState.ERROR,
            code=name,
            reason=name,
            provider=name,
            value=1,
            read_back={name: name},
        )
        stray = SettingStatus(setting=SettingId(name or "x"), state=SettingState.ERROR, rule=name)
        report = StatusReport(target=check_ins.get(connection, device).target_digest, settings=(told, stray))
        check_ins.set_status(connection, device, statuses.keep(connection, TENANT_ID, report), NOON)

    asking = [f"/devices/{device}/{each.name}" for each in ACTIONS if DeviceState.ACTIVE in each.states]
    for path in ("/", "/devices", f"/devices/{device}", f"/policies/{policy.id}", f"/groups/{group}", *asking):
        page = ada.get(path).text
        assert "\x1b" not in page
        assert not re.search(r"<(script(?! src=\"/static/)|img|h1>owned)", page)
        assert not [each for each in attributes_of(page) if each.startswith("on")]
        assert "\u202e" not in page
        assert 'href="javascript' not in page
        assert page.count("</table>") == page.count("<table")
