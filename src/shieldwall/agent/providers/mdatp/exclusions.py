"""What Defender itself does not take among exclusions, item by item, and the scope of global ones.

Global exclusions hold for every part of the product, so they are literal: full paths, no wildcards, no extensions.
"""

from __future__ import annotations

from typing import Any, Final

from shieldwall.agent.providers.landing import exclusion_name
from shieldwall.contract.status import ItemStatus, SettingState

ANTIVIRUS: Final = "antivirusEngine.exclusions"
GLOBAL: Final = "exclusionSettings.exclusions"
LANDINGS: Final = (ANTIVIRUS, GLOBAL)
MAXIMUM: Final = 600
"""Most exclusions that the product takes in one list on Linux; for macOS no number is published."""

_SCOPES: Final = ["global"]


def accept(
    landing: str, items: list[dict[str, Any]], *, maximum: int | None = MAXIMUM
) -> tuple[list[dict[str, Any]], tuple[ItemStatus, ...]]:
    """Return the items that can be written, as the product wants them, and a status for each of the others."""
    accepted: list[dict[str, Any]] = []
    refused: list[ItemStatus] = []
    for item in items:
        code, reason = _fault(item, is_global=landing == GLOBAL)
        if not code and maximum is not None and len(accepted) == maximum:
            code, reason = "tooManyExclusions", f"Defender takes at most {maximum} exclusions."
        if code:
            refused.append(ItemStatus(item=exclusion_name(item), state=SettingState.ERROR, code=code, reason=reason))
        else:
            accepted.append(item | {"scopes": _SCOPES} if landing == GLOBAL else item)
    return accepted, tuple(refused)


def without_scope(items: Any) -> Any:
    """Return global exclusions as the catalog knows them, without the scope that ``accept`` adds."""
    if not isinstance(items, list):
        return items
    return [
        {name: value for name, value in item.items() if name != "scopes"}
        if isinstance(item, dict) and item.get("scopes", _SCOPES) == _SCOPES
        else item
        for item in items
    ]


def _fault(item: dict[str, Any], *, is_global: bool) -> tuple[str, str]:
    subject = str(item.get("path", item.get("name", "")))
    if "path" in item and not item["path"].startswith("/"):
        return "invalidExclusion", "The path does not start at the root."
    if is_global and not subject.startswith("/"):
        return "invalidExclusion", "A global exclusion is a full path."
    if is_global and ("*" in subject or "?" in subject):
        return "invalidExclusion", "A global exclusion has no wildcards."
    return "", ""
