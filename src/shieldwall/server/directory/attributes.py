"""What rules may ask of a device: the properties, and where each is kept.

One table says it for a single device and for a whole fleet, so that both see the same. ``memberOf`` is not here: who
asks for it says which groups count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Connection

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.contract.messages import MANAGED_CODE
from shieldwall.policy.membership import MEMBER_OF, Attributes, MembershipRule, Value
from shieldwall.server.storage.device_records import SPEAKING, AttestationLevel, Device, DeviceState
from shieldwall.server.storage.fleets import fleets
from shieldwall.server.storage.fleets.fleets import Whose
from shieldwall.server.storage.groups import group_members

if TYPE_CHECKING:
    from shieldwall.policy.rule_columns import RuleColumns

MANAGEMENT_TYPE: Final = "MicrosoftSense"
"""``managementType`` of devices that this channel manages."""


@dataclass(frozen=True, slots=True)
class _Source:
    """The fields of a device that a property comes from, and how; the columns of the table are called alike."""

    fields: tuple[str, ...]
    value: Callable[..., Value]


def _text(value: str | None) -> Value:
    """What a device never said is absent, not empty."""
    return value or None


def _as_it_is(value: Value) -> Value:
    return value


def _enabled(state: DeviceState) -> Value:
    return state is DeviceState.ACTIVE


def _management_type(state: DeviceState, code: int) -> Value:
    return MANAGEMENT_TYPE if state in SPEAKING and code == MANAGED_CODE else None


def _attestation(level: AttestationLevel) -> Value:
    return level.value


def _extension(number: int) -> Callable[[Mapping[str, str]], Value]:
    return lambda given: given.get(f"extensionAttribute{number}")


_SOURCES: Final[Mapping[str, _Source]] = MappingProxyType(
    {
        "accountEnabled": _Source(("state",), _enabled),
        "agentVersion": _Source(("agent_version",), _text),
        "attestationLevel": _Source(("attestation_level",), _attestation),
        "deviceCategory": _Source(("device_category",), _text),
        "deviceId": _Source(("id",), _as_it_is),
        "deviceManagementAppId": _Source(("mdm_app_id",), _text),
        "deviceManufacturer": _Source(("manufacturer",), _text),
        "deviceModel": _Source(("model",), _text),
        "deviceOSType": _Source(("os_type",), _as_it_is),
        "deviceOSVersion": _Source(("os_version",), _text),
        "deviceOwnership": _Source(("device_ownership",), _text),
        "devicePhysicalIds": _Source(("physical_ids",), _as_it_is),
        "deviceTag": _Source(("tags",), _as_it_is),
        "deviceTrustType": _Source(("trust_type",), _as_it_is),
        "displayName": _Source(("display_name",), _as_it_is),
        "enrollmentProfileName": _Source(("enrollment_profile_name",), _text),
        **{
            f"extensionAttribute{number}": _Source(("extension_attributes",), _extension(number))
            for number in range(1, 16)
        },
        "isRooted": _Source(("is_rooted",), _as_it_is),
        "managementType": _Source(("state", "enrollment_code"), _management_type),
        "objectId": _Source(("object_id",), _as_it_is),
        "profileType": _Source(("profile_type",), _text),
        "systemLabels": _Source(("system_labels",), _as_it_is),
    }
)


def fields_asked() -> frozenset[str]:
    """Return the fields of a device that rules may ask for, by whatever name."""
    return frozenset(field for source in _SOURCES.values() for field in source.fields)


def attributes_from(read: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Value]]:
    """Return everything that rules may ask, of devices whose ``fields_asked`` were read in columns."""
    return {name: _values(source, [read[each] for each in source.fields]) for name, source in _SOURCES.items()}


def attributes_of(device: Device) -> Attributes:
    """Return what a rule may ask of a device."""
    return {name: source.value(*(getattr(device, each) for each in source.fields)) for name, source in _SOURCES.items()}


def values_in_use(
    connection: Connection, tenant_id: TenantId, name: str, only: Sequence[ColumnElement[bool]] = ()
) -> tuple[str, ...]:
    """Return the texts that devices have in a property, commonest first, as far as a few thousand of them tell.

    ``only`` are conditions on the rows of ``devices``. ``memberOf`` and what is true or false have none.
    """
    source = _SOURCES.get(name)
    if source is None:
        return ()
    counted: Counter[str] = Counter()
    for row in zip(*fleets.some(connection, tenant_id, source.fields, only), strict=True):
        value = source.value(*row)
        texts = value if isinstance(value, tuple) else (value,)
        counted.update(text for text in texts if isinstance(text, str))
    return tuple(text for text, _ in sorted(counted.items(), key=lambda each: (-each[1], each[0])))


@dataclass(frozen=True, slots=True)
class DescribedFleet:
    """Devices, each at its place in the order of ids, with what some rules ask of them."""

    ids: tuple[DeviceId, ...]
    columns: RuleColumns


def described_fleet(
    connection: Connection,
    tenant_id: TenantId,
    rules: Collection[MembershipRule],
    whose: Whose,
    *,
    among: Collection[DeviceId] | None = None,
    proposed: Mapping[GroupId, Collection[DeviceId]] = MappingProxyType({}),
) -> DescribedFleet:
    """Read of a tenant's devices, or those ``among`` them, what these rules ask, and nothing else.

    Some groups may be proposed to have other members than they have.
    """
    # Here, so that a gateway is there soon: it works with arrays, which most gateways never do.
    from shieldwall.policy.rule_columns import Column, RuleColumns  # noqa: PLC0415 - see above

    asked = sorted({name for rule in rules for name in rule.properties()})
    named = frozenset[GroupId]().union(*(rule.groups() for rule in rules))
    sources = {name: _SOURCES[name] for name in asked if name != MEMBER_OF}
    fields = sorted({each for source in sources.values() for each in source.fields} - {"id"})
    ids, read = fleets.columns(connection, tenant_id, fields, whose, among=among)
    by_field: dict[str, Sequence[Any]] = {"id": ids, **dict(zip(fields, read, strict=True))}
    columns = {
        name: Column.of(_values(source, [by_field[each] for each in source.fields])) for name, source in sources.items()
    }
    if MEMBER_OF in asked:
        pairs = [*group_members.member_pairs(connection, named - proposed.keys(), among)]
        pairs += [(device_id, group_id) for group_id in named & proposed.keys() for device_id in proposed[group_id]]
        columns[MEMBER_OF] = Column.of(_memberships(ids, pairs))
    return DescribedFleet(tuple(ids), RuleColumns(len(ids), columns))


def _values(source: _Source, read: Sequence[Sequence[Any]]) -> list[Value]:
    if source.value is _as_it_is:
        return list(read[0])
    return [source.value(*row) for row in zip(*read, strict=True)]


def _memberships(ids: Sequence[DeviceId], pairs: Iterable[tuple[DeviceId, GroupId]]) -> list[Value]:
    belongs: dict[DeviceId, tuple[str, ...]] = {}
    for device_id, group_id in pairs:
        belongs[device_id] = (*belongs.get(device_id, ()), group_id)
    return [belongs.get(device_id, ()) for device_id in ids]
