"""Groups that the product keeps as one object, not as a list: the daily and the weekly schedule. Pure."""

from __future__ import annotations

from typing import Any, Final

from shieldwall.catalog.model import SettingDefinition
from shieldwall.contract.status import ItemStatus, SettingState

_OBJECT: Final = "object"


def is_object(definition: SettingDefinition) -> bool:
    """Say whether the items of a group land as one object."""
    return definition.landing_type == _OBJECT


def accept(definition: SettingDefinition, items: list[dict[str, Any]]) -> tuple[dict[str, Any], tuple[ItemStatus, ...]]:
    """Return the object that the product keeps, and a status for each item for which it has no place."""
    refused = tuple(
        ItemStatus(
            item=f"{definition.display_name} {number}"[:1024],
            state=SettingState.ERROR,
            code="tooManySchedules",
            reason="Defender keeps one schedule of this kind.",
        )
        for number in range(2, len(items) + 1)
    )
    return (items[0] if items else {}), refused


def as_items(found: Any) -> Any:
    """Return what stands in the file as the items that ``accept`` made it of."""
    if not isinstance(found, dict):
        return found
    return [found] if found else []
