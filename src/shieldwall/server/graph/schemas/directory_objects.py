"""Objects of the directory by their ids alone (``graph.directory_objects``)."""

from __future__ import annotations

from typing import Final

from shieldwall.server.graph.schemas.directory import DEVICE
from shieldwall.server.graph.schemas.groups import GROUP
from shieldwall.server.openapi.shapes import ADDRESS, ID, Component, list_of, record

DIRECTORY_OBJECT: Final = Component("DirectoryObject", {"anyOf": [DEVICE, GROUP]})
DIRECTORY_OBJECTS: Final = Component(
    "DirectoryObjects", record({"@odata.context": ADDRESS, "value": list_of(DIRECTORY_OBJECT)})
)
GROUP_IDS: Final = Component("GroupIds", record({"@odata.context": ADDRESS, "value": list_of(ID)}))
