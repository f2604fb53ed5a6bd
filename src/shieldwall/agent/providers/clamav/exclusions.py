"""From an exclusion to clamd's ``ExcludePath``, a regular expression over the path of the file scanned. Pure.

``*`` stands for any characters within one folder, and for everything below when it ends the path; ``?`` for one
character. All else is literal, and every expression is anchored: an exclusion never excludes more than it says.
"""

from __future__ import annotations

from typing import Any, Final

from shieldwall.agent.providers.landing import exclusion_name
from shieldwall.contract.status import ItemStatus, SettingState

_SPECIAL: Final = frozenset(r"\.^$*+?()[]{}|")
_PROCESS: Final = (
    "Scans see files, not the processes that open them; this needs the enforcement level real_time or audit."
)


def directives(item: dict[str, Any], *, literal: bool, watches: bool) -> tuple[str, ...] | ItemStatus:
    """Return the lines of ``clamd.conf`` for an exclusion, or why it cannot be made.

    A process has none: where opens are looked at (``watches``) the gate alone knows who opens.
    """
    match item:
        case {"$type": "excludedFileName", "name": str(name)} if watches:
            fault = _process_fault(name, literal=literal)
            return _refused(item, fault) if fault else ()
        case _:
            found = expression(item, literal=literal)
            return found if isinstance(found, ItemStatus) else (f"ExcludePath {found}",)


def expression(item: dict[str, Any], *, literal: bool) -> str | ItemStatus:
    """Return the regular expression for an exclusion, or why there is none; ``literal`` ones know no wildcards."""
    match item:
        case {"$type": "excludedPath", "path": str(path)}:
            fault = _path_fault(path, literal=literal)
            return _refused(item, fault) if fault else _path_expression(path, is_directory=_is_directory(item))
        case {"$type": "excludedFileExtension", "extension": str(extension)} if not literal:
            bare = extension.removeprefix(".")
            if not bare or "/" in bare or _has_control_characters(bare):
                return _refused(item, "This is no file extension.")
            return rf"\.{_escaped(bare)}$"
        case {"$type": "excludedFileName"}:
            return ItemStatus(
                item=exclusion_name(item), state=SettingState.NOT_APPLICABLE, code="processExclusion", reason=_PROCESS
            )
        case _:
            return _refused(item, "The exclusion says nothing that ClamAV could leave out.")


def _path_expression(path: str, *, is_directory: bool) -> str:
    start = "^" + "/".join(_segment(segment) for segment in path.split("/"))
    if path.endswith("*"):
        return start.removesuffix("[^/]*").removesuffix("[^/]+") + ".*$"
    if path.endswith("/"):
        return start
    return start + ("(/|$)" if is_directory else "$")


def _segment(segment: str) -> str:
    if segment == "*":
        return "[^/]+"
    return "".join({"*": "[^/]*", "?": "[^/]"}.get(character, _escaped(character)) for character in segment)


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in text)


def _path_fault(path: str, *, literal: bool) -> str:
    if not path.startswith("/"):
        return "The path does not start at the root."
    if _has_control_characters(path):
        return "The path holds control characters."
    if literal and ("*" in path or "?" in path):
        return "A global exclusion has no wildcards."
    if not path.strip("/*?"):
        return "This would exclude everything."
    if any(segment in ("", ".", "..") for segment in path.removesuffix("/").split("/")[1:]):
        return "The path is not in its shortest form, so no file would ever match it."
    return ""


def _process_fault(name: str, *, literal: bool) -> str:
    if "/" in name or literal:
        return _path_fault(name, literal=literal)
    if _has_control_characters(name) or not name.strip("*?. "):
        return "This is the name of no process, or of all."
    return ""


def _is_directory(item: dict[str, Any]) -> bool:
    return item.get("isDirectory") is True


def _has_control_characters(text: str) -> bool:
    return any(character < " " or character == "\x7f" for character in text)


def _refused(item: dict[str, Any], reason: str) -> ItemStatus:
    return ItemStatus(item=exclusion_name(item), state=SettingState.ERROR, code="invalidExclusion", reason=reason)
