"""What the inventory may be asked for, and its counts (``graph.machines``, ``inventory.machine_queries``)."""

from __future__ import annotations

from typing import Any, Final

from shieldwall.contract.status import SettingState
from shieldwall.server.inventory.machine_export import COLUMNS
from shieldwall.server.inventory.machine_queries import PARAMETERS
from shieldwall.server.inventory.machines import ONBOARDING_STATUSES
from shieldwall.server.openapi.description import Parameter
from shieldwall.server.openapi.shapes import (
    COUNT,
    ID,
    MOMENT,
    TEXT,
    Component,
    Schema,
    list_of,
    map_of,
    record,
    text,
    word,
)
from shieldwall.server.storage.device_records import AttestationLevel, DeviceState
from shieldwall.server.storage.inventory.inventory_facets import FACETS
from shieldwall.server.storage.inventory.inventory_queries import Health, Sort

_TEXT: Final = text(minLength=1, maxLength=256)
_YES_NO: Final = word("true", "false")
_CELL: Final[Schema] = {"type": ["string", "integer", "null"]}
_MANY: Final = 16
_FORMS: Final[dict[str, tuple[str, Schema]]] = {
    "search": ("Words that stand in the name or facts of a device, or begin one of its ids.", _TEXT),
    "health": ("How a device is.", list_of(word(Health), maxItems=_MANY)),
    "onboardingStatus": ("Where onboarding stands.", list_of(word(ONBOARDING_STATUSES), maxItems=_MANY)),
    "state": ("Where a device is in its life.", list_of(word(DeviceState), maxItems=_MANY)),
    "enrollmentCode": (
        "The published enrollment status.",
        list_of({"type": "integer", "minimum": 0, "maximum": 99}, maxItems=_MANY),
    ),
    "os": ("The operating system.", list_of(_TEXT, maxItems=_MANY)),
    "osVersion": ("How its version begins.", _TEXT),
    "tag": ("Tags that a device has, all of them.", list_of(_TEXT, maxItems=_MANY)),
    "managedBy": ("Who manages it.", _TEXT),
    "agentVersion": ("The version of its agent.", _TEXT),
    "attestation": ("How sure its key is.", list_of(word(AttestationLevel), maxItems=_MANY)),
    "drifted": ("Whether settings came out of line.", _YES_NO),
    "duplicate": ("Whether another device named the same hardware.", _YES_NO),
    "seenBefore": ("It checked in last before this moment.", MOMENT),
    "seenAfter": ("It checked in last after this moment.", MOMENT),
    "group": ("It belongs to this group.", ID),
    "policyState": (
        "The gravest state of what a device enforces.",
        list_of(word(SettingState), maxItems=_MANY),
    ),
    "includeRetired": ("Whether retired devices are shown.", _YES_NO),
}


def _parameter(name: str, meaning: str, schema: Schema) -> Parameter:
    return Parameter(name=name, place="query", meaning=meaning, schema=schema)


FITTING: Final = tuple(_parameter(name, *_FORMS[name]) for name in PARAMETERS)
"""Which devices are meant; several values of one mean any of them."""
ORDER: Final = (
    _parameter("sort", "By what devices are sorted.", word(Sort)),
    _parameter("descending", "Whether the last come first.", _YES_NO),
)
FACET: Final = _parameter("facet", "What is counted; everything unless some are named.", list_of(word(FACETS)))
FORMAT: Final = _parameter("format", "The form of the file.", word("csv", "json"))
COUNTS: Final = Component(
    "MachineCounts",
    record({"count": COUNT, "facets": map_of(map_of(COUNT))}, meaning="How many devices fit, and of which kinds."),
)
_ROW: Final = Component(
    "ExportedMachine",
    record({name: list_of(TEXT) if name == "tags" else _CELL for name in COLUMNS}),
)
EXPORT: Final[dict[str, Any]] = {"text/csv": TEXT, "application/json": list_of(_ROW)}
