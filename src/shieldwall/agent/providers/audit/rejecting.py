"""What cannot be expressed as a rule, item by item, with the reason. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from shieldwall.agent.providers import landing
from shieldwall.agent.providers.audit import profile as at
from shieldwall.agent.providers.audit.profile import Vocabulary
from shieldwall.agent.providers.audit_rules import is_usable
from shieldwall.agent.providers.base import Desired
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus, SettingState
from shieldwall.policy.values import SettingValue

_NOT_A_PATH: Final = "An audit rule names one path without white space, quotes, backslashes or patterns."
_NOT_A_KEY: Final = "A key holds letters, digits, dots, underscores and hyphens."
_NO_SUCH_USER: Final = "There is no such user on this device."
_NOT_A_PROGRAM: Final = "Audit leaves out a program by its whole path; a name alone could be anybody's."
_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "ksh", "busybox", "python3", "perl", "ruby", "node", "php"})
_A_SHELL: Final = "Leaving out a shell or an interpreter would leave out whatever anybody runs with it."


_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?")
_KEY: Final = re.compile(r"[A-Za-z0-9_.-]{1,31}")


def sorted_out(
    words: Vocabulary, desired: Desired, users: Mapping[str, int] | None
) -> tuple[Desired, Mapping[SettingId, tuple[ItemStatus, ...]]]:
    """Part what can be carried out from what cannot. ``users`` are those of the machine, where it was looked at."""
    accepted: dict[SettingId, SettingValue] = {}
    rejected: dict[SettingId, tuple[ItemStatus, ...]] = {}
    for setting, value in desired.items():
        place = words.place(setting) or ""
        if not isinstance(value, tuple):
            accepted[setting] = value
            continue
        plain = landing.encode(words.catalog, setting, value)
        faults = [_fault(place, item, users) for item in plain]
        accepted[setting] = tuple(item for item, fault in zip(value, faults, strict=True) if fault is None)
        refused = tuple(_status(item, fault) for item, fault in zip(plain, faults, strict=True) if fault is not None)
        if refused:
            rejected[setting] = refused
    return accepted, rejected


def _fault(place: str, item: Any, users: Mapping[str, int] | None) -> tuple[str, str] | None:
    match place:
        case at.WATCHES:
            is_named = _KEY.fullmatch(item.get("key") or "key") is not None
            return _path_fault(item["path"]) if is_named else ("notAKey", _NOT_A_KEY)
        case at.USERS:
            is_known = _USER.fullmatch(item) is not None and (users is None or item.isdigit() or item in users)
            return None if is_known else ("noSuchUser", _NO_SUCH_USER)
        case at.PROGRAMS:
            return _program_fault(item)
        case at.GLOBAL_EXCLUSIONS:
            return _exclusion_fault(item)
        case _:
            return None


def _exclusion_fault(item: Mapping[str, Any]) -> tuple[str, str] | None:
    if (path := item.get("path")) is not None:
        return _path_fault(path) if path.strip("/") else ("wholeSystem", "This would leave out everything.")
    name = item.get("name", "")
    return _program_fault(name) if "/" in name else ("notAPath", _NOT_A_PROGRAM)


def _path_fault(path: str) -> tuple[str, str] | None:
    is_plain = is_usable(path) and not set(path) & set("*?[]") and path.isprintable()
    return None if is_plain else ("pattern", _NOT_A_PATH)


def _program_fault(path: str) -> tuple[str, str] | None:
    if path.rpartition("/")[2] in _SHELLS:
        return "interpreter", _A_SHELL
    return _path_fault(path)


def _status(item: Any, fault: tuple[str, str]) -> ItemStatus:
    name = item if isinstance(item, str) else str(item.get("path", item.get("name", "")))
    code, reason = fault
    return ItemStatus(item=name[:1024], state=SettingState.NOT_APPLICABLE, code=code, reason=reason)
