"""Would a device be safer under another target than under the one it has? Asked for devices in quarantine alone."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import Digest, SettingId
from shieldwall.contract.messages import Protection
from shieldwall.contract.target import Target
from shieldwall.policy.applicability import traits_of
from shieldwall.policy.classify import ChangeClass, classify_all, gravest
from shieldwall.policy.outcomes import Decided
from shieldwall.policy.resolve import resolve
from shieldwall.policy.values import SettingValue
from shieldwall.server.manager.revisions import document_of
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.policies import revisions

_NOTHING = Target(items=())


def strengthens(
    connection: Connection, catalog: Catalog, device: Device, *, has: Digest | None, wanted: Target
) -> bool:
    """Say whether going from the target a device has to the wanted one protects it better, and nowhere less.

    Of a target that nobody remembers nothing can be said, and so it stays.
    """
    try:
        present = _NOTHING if has is None else targets.get(connection, device.tenant_id, has)
    except NotFoundError:
        return False
    changes = classify_all(
        catalog, _decided(connection, catalog, device, present), _decided(connection, catalog, device, wanted)
    )
    return gravest((*changes.values(), _protection(present.protection, wanted.protection))) is ChangeClass.STRENGTHEN


def _decided(
    connection: Connection, catalog: Catalog, device: Device, target: Target
) -> Mapping[SettingId, SettingValue]:
    found = revisions.find_many(connection, [item.digest for item in target.items])
    documents = [document_of(revision) for revision in found.values()]
    resolved = resolve(
        catalog, documents, target.conflict_rules, traits_of(device.os_type, device.catalog_version)
    ).settings
    return {setting: each.value for setting, each in resolved.items() if isinstance(each, Decided)}


def _protection(before: Protection, after: Protection) -> ChangeClass:
    if before == after:
        return ChangeClass.NEUTRAL
    if after.troubleshooting_until not in {None, before.troubleshooting_until} or before.tamper > after.tamper:
        return ChangeClass.WEAKEN
    return ChangeClass.STRENGTHEN
