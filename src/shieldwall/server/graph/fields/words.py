"""Words of Graph's enumerations that several kinds of resources share, and columns said in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Text, case, cast, func, literal, null

from shieldwall.server.graph.odata.fields import Field, Kind

PLATFORMS: Final = (
    "none",
    "android",
    "iOS",
    "macOS",
    "windows10X",
    "windows10",
    "linux",
    "unknownFutureValue",
    "androidEnterprise",
    "aosp",
    "visionOS",
    "tvOS",
)
TECHNOLOGIES: Final = (
    "none",
    "mdm",
    "windows10XManagement",
    "configManager",
    "intuneManagementExtension",
    "thirdParty",
    "documentGateway",
    "appleRemoteManagement",
    "microsoftSense",
    "exchangeOnline",
    "mobileApplicationManagement",
    "linuxMdm",
    "enrollment",
    "endpointPrivilegeManagement",
    "unknownFutureValue",
    "windowsOsRecovery",
    "android",
)
TEMPLATE_FAMILIES: Final = (
    "none",
    "endpointSecurityAntivirus",
    "endpointSecurityDiskEncryption",
    "endpointSecurityFirewall",
    "endpointSecurityEndpointDetectionAndResponse",
    "endpointSecurityAttackSurfaceReduction",
    "endpointSecurityAccountProtection",
    "endpointSecurityApplicationControl",
    "endpointSecurityEndpointPrivilegeManagement",
    "enrollmentConfiguration",
    "appQuietTime",
    "baseline",
    "unknownFutureValue",
    "deviceConfigurationScripts",
    "deviceConfigurationPolicies",
)


def in_words(words: Mapping[Any, str], column: ColumnElement[Any], otherwise: Any) -> ColumnElement[str]:
    """Say in words what a column keeps; ``otherwise`` is a word, or the column itself."""
    last = literal(otherwise, Text()) if isinstance(otherwise, str) else otherwise
    return case({key: literal(word, Text()) for key, word in words.items()}, value=column, else_=last)


def always(name: str, word: str, members: tuple[str, ...]) -> Field:
    """Make a field that every row has the same word in."""
    return Field(name=name, kind=Kind.CHOICE, column=literal(word, Text()), members=members)


def never(name: str, kind: Kind = Kind.TEXT) -> Field:
    """Make a field that no row has a value in: a published member about which nothing is known here."""
    return Field(name=name, kind=kind, column=cast(null(), Text()), nullable=True)


def unless_empty(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Say that an empty text is none."""
    return func.nullif(column, "", type_=Text())
