"""The devices of the furnished tenant (``portal_scene``), the package they came with, and their groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection
from tests.support.samples import a_device

from shieldwall.contract.ids import GroupId, KeyThumbprint, PackageId
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.assigned_members import join_members
from shieldwall.server.directory.groups import GroupDraft, create_group
from shieldwall.server.inventory.packages import PackageDraft, ServerAddress, create_package
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices

DAYS: Final = 30
"""Over so many days the devices came in."""
_KINDS: Final = (
    ("web", "Linux", "Debian 12", ("edge", "production"), 20),
    ("db", "Linux", "Ubuntu 24.04", ("production",), 10),
    ("pc", "Windows", "Windows 11 24H2", ("office",), 20),
    ("mac", "macOS", "macOS 15.1", ("design",), 10),
)
"""The beginning of a name, the system and its version, the tags, and how many there are."""
_PRODUCTS: Final = {
    "Linux": {"mdatp": "101.24112", "clamav": "1.4.1"},
    "Windows": {"windows_defender": "4.18"},
    "macOS": {"mdatp": "101.24082"},
}


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Makes them; ``each`` is how many devices of a kind there are, where it is not as many as usual."""

    services: AdminServices
    actor: str
    now: datetime
    each: int | None

    def package(self, connection: Connection) -> PackageId:
        """Make the package that all of them came with."""
        draft = PackageDraft(
            display_name="Data center",
            lifetime=timedelta(days=2 * DAYS),
            platforms=("linux", "windows", "macos"),
            tags=("production",),
        )
        address = ServerAddress(urls=(self.services.settings.gateway_url,))
        record, _ = create_package(connection, self.services.acting(self.actor), self.services.signer, draft, address)
        return record.id

    def devices(self, connection: Connection, package: PackageId) -> list[Device]:
        """Let them in."""
        made: list[Device] = []
        for name, system, version, tags, number in _KINDS:
            for index in range(1, (self.each or number) + 1):
                kind = {"os_type": system, "os_version": version, "tags": tags, "package_id": package}
                device = self._device(len(made) + 1, f"{name}-{index:02d}", **kind)
                devices.add(connection, device)
                check_ins.add(connection, device.id)
                made.append(device)
        self.services.acting(self.actor).tell(connection, frozenset(each.id for each in made))
        return made

    def _device(self, number: int, name: str, **more: Any) -> Device:
        state, reason = DeviceState.ACTIVE, None
        if number % 23 == 0:
            state, reason = DeviceState.PENDING, "approval"
        elif number % 29 == 0:
            state, reason = DeviceState.QUARANTINED, "clonedIdentity"
        device = a_device(
            number,
            id=self.services.new_id(),
            object_id=self.services.new_id(),
            tenant_id=self.services.tenant.id,
            display_name=name,
            providers=_PRODUCTS[more["os_type"]],
            state=state,
            state_reason=reason,
            key_thumbprint=KeyThumbprint(f"scene{number:038x}"),
            machine_id_hash=digest_of_bytes(name.encode()),
            registered_at=self.now - timedelta(days=number % DAYS),
            catalog_version=self.services.catalog.version,
            agent_version="0.1.0" if number % 5 else "0.0.9",
            **more,
        )
        return replace(device, managed_elsewhere="Intune", enrollment_code=30) if number % 19 == 0 else device

    def groups(self, connection: Connection, fleet: Sequence[Device]) -> list[GroupId]:
        """Make a group of each system, and one of every seventh device."""
        made = []
        acting = self.services.acting(self.actor)
        for name, about, rule in (
            ("Linux servers", "Every server that runs Linux", 'device.deviceOSType -eq "Linux"'),
            ("Windows clients", "Every computer that runs Windows", 'device.deviceOSType -eq "Windows"'),
            ("Macs", "The Macs of the design team", 'device.deviceOSType -eq "macOS"'),
            ("Pilot", "Devices that get what is new a week before the others", None),
        ):
            draft = GroupDraft(
                display_name=name,
                description=about,
                mail_nickname=name.lower().replace(" ", "-"),
                membership_rule=rule,
            )
            made.append(create_group(connection, acting, draft).id)
        join_members(connection, acting, made[-1], [each.id for each in fleet[::7]])
        return made
