"""A server's heart in one process: real storage, real signer, a clock moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sqlalchemy import Connection
from tests.support.samples import TENANT_ID, CountingIds, HandClock, a_device, a_group, a_tenant

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import DeviceId, GroupId, KeyThumbprint, SettingId, TemplateId
from shieldwall.contract.settings import ChoiceSetting, ChoiceValue
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager.check_in import CheckIn
from shieldwall.server.manager.policies import Policies, PolicyDraft
from shieldwall.server.manager.targeting import Retargeting, retarget
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.signer.in_process import InProcessSigner
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.tenants import tenants

ANTIVIRUS = TemplateId("4cfd164c-5e8a-4ea9-b15d-9aa71e4ffff4_1")
FIREWALL = TemplateId("d004203a-c7c2-43ec-ac22-605f2e0ffbff_1")
FIREWALL_ON = SettingId("linux_shieldwall_firewall_trusted_enablefirewall")
CLOUD = SettingId("linux_mdatp_managed_cloudservice_enabled")
DIAGNOSTIC = SettingId("linux_mdatp_managed_cloudservice_diagnosticlevel")
ACTOR = "ada@contoso.example"


def chosen(setting: SettingId, option: str) -> ChoiceSetting:
    return ChoiceSetting(definition=setting, value=ChoiceValue(value=f"{setting}_{option}"))


def a_draft(name: str = "Antivirus", *, cloud: str = "true", diagnostic: str | None = None) -> PolicyDraft:
    settings = (chosen(CLOUD, cloud),)
    return PolicyDraft(
        name=name,
        platforms="linux",
        technologies="microsoftSense",
        template_id=ANTIVIRUS,
        settings=settings if diagnostic is None else (*settings, chosen(DIAGNOSTIC, diagnostic)),
    )


def a_firewall_draft(name: str = "Firewall") -> PolicyDraft:
    return PolicyDraft(
        name=name,
        platforms="linux",
        technologies="microsoftSense",
        template_id=FIREWALL,
        settings=(chosen(FIREWALL_ON, "false"),),
    )


def caller(device_id: DeviceId) -> CallingDevice:
    """The device of this id, calling with the key that ``a_device`` gave it."""
    number = int(device_id.rpartition("-")[2], 16)
    return CallingDevice(id=device_id, tenant_id=TENANT_ID, key=KeyThumbprint(f"{number:043d}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One tenant with its policies, in a database of the test's own."""

    database: Database
    catalog: Catalog
    signer: InProcessSigner
    clock: HandClock
    new_id: CountingIds

    @property
    def policies(self) -> Policies:
        return Policies(catalog=self.catalog, signatures=self.signer)

    @property
    def acting(self) -> Acting:
        return Acting(
            tenant_id=TENANT_ID,
            actor=ACTOR,
            clock=self.clock,
            new_id=self.new_id,
            on_devices_changed=Retargeting(clock=self.clock),
        )

    @contextmanager
    def undone(self) -> Iterator[Connection]:
        """A write transaction of which nothing stays: one example of a law."""
        with self.database.engine.connect() as connection:
            yield connection
            connection.rollback()

    @property
    def check_in(self) -> CheckIn:
        return CheckIn(
            signers=self.signer,
            clock=self.clock,
            acting_for=lambda device: self.acting.within(device.tenant_id),
            catalog=lambda: self.catalog,
        )

    def join(self, connection: Connection, number: int, **changes: object) -> DeviceId:
        device = replace(a_device(number), **changes)  # type: ignore[arg-type]  # any field of a device
        devices.add(connection, device)
        check_ins.add(connection, device.id)
        retarget(connection, [device.id], self.clock.now())
        return device.id

    def group(self, connection: Connection, number: int, *members: DeviceId) -> GroupId:
        group = a_group(number)
        groups.add(connection, group)
        group_members.add_members(connection, group.id, members)
        return group.id


def add_tenant(database: Database) -> None:
    with database.write() as connection:
        tenants.add(connection, a_tenant())
