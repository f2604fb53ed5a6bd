"""Something real for every id that a path of the API may name, made when it is asked for: each call makes another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from tests.manager.test_references import address_group
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import FILTERS, GROUPS, PACKAGES, POLICIES, a_filter, a_group, a_policy
from tests.support.samples import NOON, TENANT_ID, a_device, counted_id, device_id

from shieldwall.contract.ids import DeviceId
from shieldwall.server.graph.setting_writing import write_instance
from shieldwall.server.graph.threat_connectors import CONNECTOR_ID
from shieldwall.server.storage.devices import device_events
from shieldwall.server.storage.devices.device_events import EventRecord
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity

_REUSABLE: Final = "/beta/deviceManagement/reusablePolicySettings"
_ROLES: Final = "/beta/deviceManagement/roleDefinitions"
_TAGS: Final = "/beta/deviceManagement/roleScopeTags"


@dataclass(frozen=True)
class Seeds:
    """Makes things in one tenant by the API itself where that can make them."""

    world: AdminWorld
    client: Client
    _numbers: count[int] = field(default_factory=lambda: count(100))

    def id_of(self, parameter: str, path: str) -> str | None:
        """Return the id of something that a parameter of this path names; ``None`` where nothing is known to make."""
        if parameter == "setting_id" and "configurationSettings" in path:
            return self._first("/beta/deviceManagement/configurationSettings")
        make = self._makers.get(parameter)
        return None if make is None else make()

    @property
    def _makers(self) -> dict[str, Callable[[], str]]:
        return {
            "policy_id": lambda: self._made(POLICIES, a_policy(f"Antivirus {next(self._numbers)}")),
            "revision": lambda: "1",
            "group_id": lambda: self._made(GROUPS, a_group(f"Servers {next(self._numbers)}")),
            "filter_id": lambda: self._made(FILTERS, a_filter(f"Edge {next(self._numbers)}")),
            "setting_id": lambda: self._made(_REUSABLE, self._reusable()),
            "package_id": lambda: self._made(PACKAGES, {"displayName": "Package"}),
            "role_id": lambda: self._made(_ROLES, {"displayName": f"Role {next(self._numbers)}"}),
            "tag_id": lambda: self._made(_TAGS, {"displayName": f"Tag {next(self._numbers)}"}),
            "device_id": self._device,
            "member_id": self._device,
            "named": lambda: a_device(int(self._device().rpartition("-")[2], 16)).object_id,
            "alert_id": self._alert,
            "device_event_id": self._device_event,
            "event_id": lambda: self._first("/beta/deviceManagement/auditEvents"),
            "template_id": lambda: self._first("/beta/deviceManagement/configurationPolicyTemplates"),
            "category_id": lambda: self._first("/beta/deviceManagement/configurationCategories"),
            "connector_id": lambda: CONNECTOR_ID,
            "rule_id": lambda: TENANT_ID,
            "tenant_id": lambda: TENANT_ID,
            "tenant": lambda: TENANT_ID,
            "operation_id": lambda: self._first("/beta/deviceManagement/resourceOperations"),
            "category": lambda: "category='Device'",
        }

    def _made(self, path: str, body: dict[str, Any]) -> str:
        answer = self.client.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def _first(self, path: str) -> str:
        return str(self.client.get(f"{path}?$top=1").json()["value"][0]["id"])

    def _device(self) -> str:
        number = next(self._numbers)
        with self.world.writing() as connection:
            self.world.manager.join(connection, number)
        return device_id(number)

    def _alert(self) -> str:
        alert_id = counted_id("7", next(self._numbers))
        with self.world.writing() as connection:
            alerts.raise_alert(
                connection,
                Alert(
                    id=alert_id,
                    tenant_id=TENANT_ID,
                    device_id=None,
                    kind="clonedIdentity",
                    severity=Severity.HIGH,
                    title=f"Something happened {alert_id}",
                    details="{}",
                    first_at=NOON,
                    last_at=NOON,
                ),
            )
        return alert_id

    def _device_event(self) -> str:
        event = EventRecord(
            id=counted_id("e", next(self._numbers)),
            tenant_id=TENANT_ID,
            device_id=DeviceId(self._device()),
            at=NOON,
            received_at=NOON,
            kind="malware.blocked",
            severity="high",
            title="Malware was blocked",
            subject="Test.Marker",
            details='{"path":"/tmp/x"}',
        )
        with self.world.writing() as connection:
            device_events.add_new(connection, event.device_id, [event])
        return event.id

    def _reusable(self) -> dict[str, Any]:
        group = address_group("10.0.0.0/8")
        return {"displayName": f"Addresses {next(self._numbers)}", "settingInstance": write_instance(group)}
