"""Exclusions as Windows writes them: a drive, a share or a system variable, then folders between backslashes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from shieldwall.catalog.exclusions.windows_places import VARIABLES, WINDOWS
from shieldwall.catalog.faults import Fault

MAX_PATH_LENGTH: Final = 32_767
MAX_NAME_LENGTH: Final = 255

_DRIVE: Final = re.compile(r"[A-Za-z]:(?=/|\Z)")
_VARIABLE: Final = re.compile(r"%([^%/]+)%(?=/|\Z)")
_VARIABLE_INSIDE: Final = re.compile(r"%[^%]+%")
_SHARE: Final = re.compile(r"//+([^/]+)(?:/+([^/]+))?")
_ADMINISTRATIVE: Final = re.compile(r"[a-z]\$")
_SHORT_NAME: Final = re.compile(r"[^~.]{1,6}~[0-9]{1,6}(?:\.[^.]{0,3})?")
_FORBIDDEN: Final = frozenset('<>"|:')
_ABSOLUTE: Final = (
    "A path that begins with a drive such as C:\\, a share such as \\\\server\\share\\, or %ProgramFiles%."
)


def path_faults(text: str) -> Iterator[Fault]:
    """Yield what is wrong with a path that would be left out with all below it."""
    if not text.strip("*?./\\ "):
        yield Fault("dangerousExclusion", f"'{text[:128]}' would hide everything.", "A narrower path.")
        return
    place = _place(text)
    if isinstance(place, Fault):
        yield place
        return
    hidden = "a whole server or share" if place is None else WINDOWS.hidden_by_path(place)
    if hidden:
        yield Fault("dangerousExclusion", f"'{text[:128]}' would hide {hidden}.", "A narrower path.")


def process_faults(text: str) -> Iterator[Fault]:
    """Yield what is wrong with a process, named alone or with its path, whose doings would be left out."""
    place = _place(text) if any(mark in text for mark in "\\/:%") else next(_misspelt([text]), text)
    if isinstance(place, Fault):
        yield place
        return
    hidden = "every process" if place is None else WINDOWS.hidden_by_process(place)
    if hidden:
        yield Fault("dangerousExclusion", f"'{text[:128]}' would hide {hidden}.", "The name of one other program.")


def place_of(text: str) -> str | None:
    """Return where a path leads, below its drive, with slashes and in lower case; ``None`` when it is not a path."""
    place = _place(text)
    return None if place is None or isinstance(place, Fault) else re.sub(r"/+", "/", place).lower()


def _place(text: str) -> str | Fault | None:
    """Return the path below its drive, with slashes and variables replaced; ``None`` for a whole share or server."""
    path = text.replace("\\", "/")
    beginning = _beginning(path)
    if beginning is None or isinstance(beginning, Fault):
        return beginning
    above, below = beginning
    fault = next(_misspelt(below.split("/")), None)
    if fault is None and len(text) > MAX_PATH_LENGTH:
        fault = Fault("invalidPath", "No file can have such a long path.", f"At most {MAX_PATH_LENGTH} characters.")
    return fault or above + below


def _beginning(path: str) -> tuple[str, str] | Fault | None:
    """Divide a path into where it begins, as a place below a drive, and the rest."""
    if drive := _DRIVE.match(path):
        return "", path[drive.end() :]
    if variable := _VARIABLE.match(path):
        above = VARIABLES.get(variable[1].lower())
        if above is None:
            message = f"{variable[0][:64]} does not mean the same to every user."
            return Fault("invalidPath", message, f"One of %{'%, %'.join(VARIABLES)}%, or the path itself.")
        return above, path[variable.end() :]
    if share := _SHARE.match(path):
        return _on_share(share, path[share.end() :])
    return Fault("invalidPath", f"'{path[:128]}' does not say where it begins.", _ABSOLUTE)


def _on_share(share: re.Match[str], below: str) -> tuple[str, str] | Fault | None:
    server, name = share[1], (share[2] or "").lower()
    if server in {".", "?"}:
        return Fault("invalidPath", "A path of a device names no folder.", _ABSOLUTE)
    fault = next(_misspelt([server, name]), None)
    if fault is not None or any(mark in server + name for mark in "*?"):
        return fault or Fault("invalidPath", "Wildcards do not work in the name of a server or share.", _ABSOLUTE)
    if name == "admin$":
        return "/windows", below
    if _ADMINISTRATIVE.fullmatch(name):
        return "", below
    if not below.strip("/*?"):
        return None
    return f"/{server}/{name}", below


def _misspelt(names: list[str]) -> Iterator[Fault]:
    for name in names:
        if name in {".", ".."}:
            yield Fault("invalidPath", "The path steps through . or ..", "A path without . and .. in it.")
        elif _VARIABLE_INSIDE.search(name):
            yield Fault("invalidPath", "A variable stands at the beginning of a path only.", _ABSOLUTE)
        elif _FORBIDDEN & set(name):
            yield Fault("invalidPath", f"'{name[:64]}' cannot be a name.", 'Names without < > " | and :.')
        elif name != name.rstrip(". "):
            yield Fault("invalidPath", f"'{name[:64]}' ends in what Windows leaves out.", "No dot or space at its end.")
        elif _SHORT_NAME.fullmatch(name):
            yield Fault("invalidPath", f"'{name[:64]}' may be short for another name.", "The long name.")
        elif len(name) > MAX_NAME_LENGTH:
            yield Fault("invalidPath", "No file can have such a long name.", f"At most {MAX_NAME_LENGTH} characters.")
