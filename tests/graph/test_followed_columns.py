"""What is shown of a device, a registration or a group is what its followers hear of, column by column."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pytest
from tests.support.samples import a_device, a_group

from shieldwall.server.graph.directory_shapes import device_resource
from shieldwall.server.graph.resources import group_resource
from shieldwall.server.storage.device_records import AttestationLevel, DeviceState, Registration
from shieldwall.server.storage.records import ProcessingState
from shieldwall.server.storage.tables.change_triggers import FOLLOWED

OTHER: dict[str, Any] = {
    "registration": Registration.FULL,
    "state": DeviceState.DISABLED,
    "attestation_level": AttestationLevel.TPM,
    "processing_state": ProcessingState.PAUSED,
    "membership_rule": "(device.displayName -ne null)",
    "extension_attributes": {"extensionAttribute1": "x"},
    "providers": {"x": "y"},
    "is_rooted": True,
}
"""Another value than that of the samples, where it does not follow from the type of theirs."""


def other(name: str, value: Any) -> Any:
    """A value that a field does not have."""
    if name in OTHER:
        return OTHER[name]
    later = datetime(2030, 1, 1, tzinfo=UTC)
    if value is None:
        return later if name.endswith(("_at", "_until")) else "other"
    if isinstance(value, bool):
        return not value
    assert not isinstance(value, Enum), f"say in OTHER what else {name} may be"
    others = {int: 7, datetime: later, tuple: ("other",), bytes: b"other", str: "other"}
    return next(each for kind, each in others.items() if isinstance(value, kind))


@pytest.mark.parametrize(
    ("kind", "record", "shape"),
    [("device", a_device(1), lambda each: device_resource(each, None)), ("group", a_group(1), group_resource)],
    ids=["device", "group"],
)
def test_what_is_shown_is_followed_and_nothing_else(kind: str, record: Any, shape: Any) -> None:
    (followed,) = [each for each in FOLLOWED if each.kind == kind]
    if kind == "group":
        record = replace(record, membership_rule="(device.displayName -eq null)")
    shown = {
        field.name
        for field in fields(record)
        if shape(replace(record, **{field.name: other(field.name, getattr(record, field.name))})) != shape(record)
    }

    assert shown == {*followed.shown, *followed.key}
