"""What Graph calls the kinds of setting instances and of simple values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shieldwall.contract.settings import SimpleKind

Json = dict[str, Any]

PREFIX: Final = "#microsoft.graph.deviceManagementConfiguration"

SIMPLE_KINDS: Final[Mapping[str, SimpleKind]] = {
    f"{PREFIX}StringSettingValue": "string",
    f"{PREFIX}IntegerSettingValue": "integer",
    f"{PREFIX}SecretSettingValue": "secret",
    f"{PREFIX}ReferenceSettingValue": "reference",
}
SIMPLE_TYPES: Final[Mapping[SimpleKind, str]] = {kind: name for name, kind in SIMPLE_KINDS.items()}
