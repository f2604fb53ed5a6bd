"""Which exclusions we refuse: those that cannot be meant as written, and those that hide what must be seen.

An exclusion is a hole in the protection. Some holes are never worth it: the whole system, a volume, an interpreter (it
runs anything), this agent, the antivirus engine and its quarantine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from shieldwall.catalog.faults import Fault
from shieldwall.catalog.globs import Glob
from shieldwall.catalog.model import Syntax

MAX_PATH_BYTES: Final = 4_095
MAX_NAME_BYTES: Final = 255

_AGENT: Final = (
    "/etc/shieldwall",
    "/opt/shieldwall",
    "/run/shieldwall",
    "/usr/bin/shieldwall",
    "/usr/bin/shieldwall-agent",
    "/usr/lib/shieldwall",
    "/usr/local/bin/shieldwall",
    "/usr/local/bin/shieldwall-agent",
    "/var/lib/shieldwall",
)
_ENGINES: Final = (
    "/etc/clamav",
    "/etc/opt/microsoft/mdatp",
    "/opt/microsoft/mdatp",
    "/run/clamav",
    "/usr/bin/clamdscan",
    "/usr/bin/clamscan",
    "/usr/bin/freshclam",
    "/usr/bin/mdatp",
    "/usr/sbin/clamd",
    "/usr/sbin/clamonacc",
    "/var/lib/clamav",
    "/var/opt/microsoft/mdatp",
)
_BROAD: Final = (
    "/Applications",
    "/Library",
    "/System",
    "/Users",
    "/Volumes",
    "/boot",
    "/dev",
    "/dev/shm",  # noqa: S108 - refused as an exclusion, not used
    "/home",
    "/lib",
    "/lib64",
    "/media",
    "/mnt",
    "/root",
    "/tmp",  # noqa: S108 - as above
    "/usr/lib",
    "/usr/lib64",
    "/usr/local",
    "/var/tmp",  # noqa: S108 - as above
)
_PROGRAM_FOLDERS: Final = ("/bin", "/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin", "/usr/sbin")
_INTERPRETERS: Final = (
    *("ash", "awk", "bash", "bun", "busybox", "csh", "dash", "deno", "dotnet", "env", "expect", "fish", "gawk"),
    *("guile", "java", "ksh", "ld-linux-aarch64.so", "ld-linux-x86-64.so", "lua", "luajit", "mawk", "mksh"),
    *("mono", "node", "nodejs", "osascript", "perl", "php", "pwsh", "pypy", "python", "rbash", "ruby", "sh"),
    *("tclsh", "tcsh", "zsh"),
)
_OWN_PROGRAMS: Final = ("shieldwall", "shieldwall-agent")
_ENGINE_PROGRAMS: Final = ("clamd", "clamdscan", "clamonacc", "clamscan", "freshclam", "mdatp", "wdavdaemon")

_VOLUMES: Final = ("/Volumes/", "/media/", "/media//", "/mnt/", "/run/media", "/run/media/", "/run/media//")
"""Where volumes are mounted; a name left empty stands for any."""

_VARIABLE: Final = re.compile(r"%[^%/]+%|\$\{|\$[A-Za-z_(]")
_VERSION: Final = re.compile(r"[-0-9.*?]*\Z")
"""What may follow a program's name: ``3.11`` in ``python3.11``."""
_SLASHES: Final = re.compile(r"/+")
_ONLY_WILDCARDS: Final = re.compile(r"(?:/[*?]*)+\Z")


def faults(syntax: Syntax, text: str) -> Iterator[Fault]:
    """Yield what is wrong with the text of an exclusion; nothing for a good one."""
    match syntax:
        case Syntax.EXCLUSION_PATH:
            yield from _path(text, wildcards=True)
        case Syntax.EXCLUSION_PATH_LITERAL:
            yield from _path(text, wildcards=False)
        case Syntax.EXCLUSION_PROCESS:
            yield from _process(text, wildcards=True)
        case Syntax.EXCLUSION_PROCESS_PATH:
            if not text.startswith("/"):
                yield _relative(text)
                return
            yield from _process(text, wildcards=False)
        case Syntax.EXCLUSION_EXTENSION:
            yield from _extension(text)
        case _:
            pass


def _path(text: str, *, wildcards: bool) -> Iterator[Fault]:
    written = list(_misspelt(text, wildcards=wildcards))
    if written:
        yield from written
        return
    exclusion = _Exclusion(_ONLY_WILDCARDS.sub("", _SLASHES.sub("/", text)).rstrip("/") or "/")
    hidden = next((what for what, hides in _HIDES if hides(exclusion)), None)
    if hidden:
        yield Fault("dangerousExclusion", f"{text[:128]!r} would hide {hidden}.", "A narrower path.")


class _Exclusion:
    """A path that would be left out, with all below it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.folder, _, self.name = path.rpartition("/")
        self._whole = Glob(path)
        self._parts = [Glob(part) for part in path.split("/")]

    def is_one_of(self, places: tuple[str, ...]) -> bool:
        return self._whole.matches_any(places)

    def covers(self, place: str) -> bool:
        """Say whether ``place`` is left out: because it matches, or a folder above it does."""
        parts = place.split("/")
        return any(self._whole.matches("/".join(parts[:length])) for length in range(2, len(parts) + 1))

    def touches(self, places: tuple[str, ...]) -> bool:
        """Say whether one of the places, or something inside it, is left out; a bare name speaks of no place."""
        return self.path.startswith("/") and any(self.covers(place) or self._is_inside(place) for place in places)

    def _is_inside(self, place: str) -> bool:
        """Say whether something inside ``place`` is left out.

        A star stands for part of one folder's name, but at the end of a path for folders below as well.
        """
        outer = place.split("/")
        *folders, last = self._parts
        if not all(part.matches(name) for part, name in zip(folders, outer, strict=False)):
            return False
        if len(folders) >= len(outer):
            return True
        head, star, _ = last.pattern.partition("*")
        below = "/".join(outer[len(folders) :]) + "/"
        return bool(star) and Glob(head).matches(below[: len(head)])

    def is_program(self, programs: tuple[str, ...]) -> bool:
        """Say whether the last name, perhaps with wildcards, may be that of a program or of one of its versions."""
        version = _VERSION.search(self.name)
        assert version is not None, "the pattern matches the empty text"
        heads = [Glob(self.name[:end]) for end in range(version.start(), len(self.name) + 1)]
        return any(head.matches_any(programs) for head in heads)

    def covers_interpreters(self) -> bool:
        is_folder = self.folder.endswith("bin") or Glob(self.folder).matches_any(_PROGRAM_FOLDERS)
        if is_folder and self.is_program(_INTERPRETERS):
            return True
        return any(self.covers(f"{folder}/{program}") for folder in _PROGRAM_FOLDERS for program in _INTERPRETERS)

    def is_volume(self) -> bool:
        """Say whether it is a place where volumes are mounted."""
        return any(
            len(names) == len(self._parts)
            and all(not name or part.matches(name) for part, name in zip(self._parts, names, strict=True))
            for names in (volumes.split("/") for volumes in _VOLUMES)
        )


_HIDES: Final[tuple[tuple[str, Callable[[_Exclusion], bool]], ...]] = (
    ("a great part of the system", lambda exclusion: exclusion.path == "/" or exclusion.covers("/usr")),
    ("the Shieldwall agent", lambda exclusion: exclusion.touches(_AGENT)),
    ("the antivirus engine or its quarantine", lambda exclusion: exclusion.touches(_ENGINES)),
    ("interpreters, which run anything", _Exclusion.covers_interpreters),
    ("a whole volume", _Exclusion.is_volume),
    ("a folder that malware likes and everything needs", lambda exclusion: exclusion.is_one_of(_BROAD)),
)
"""What must never be hidden, and whether an exclusion would."""


def _process(text: str, *, wildcards: bool) -> Iterator[Fault]:
    if "/" in text:
        written = list(_misspelt(text, wildcards=wildcards))
        if written:
            yield from written
            return
    exclusion = _Exclusion(text)
    if not exclusion.name.strip("*?"):
        hidden = "every process"
    elif exclusion.is_program(_INTERPRETERS):
        hidden = "an interpreter, which runs anything"
    elif exclusion.is_program(_OWN_PROGRAMS) or exclusion.touches(_AGENT):
        hidden = "the Shieldwall agent"
    elif exclusion.is_program(_ENGINE_PROGRAMS) or exclusion.touches(_ENGINES):
        hidden = "the antivirus engine"
    else:
        return
    yield Fault("dangerousExclusion", f"{text[:128]!r} would hide {hidden}.", "The name of one other program.")


def _extension(text: str) -> Iterator[Fault]:
    allowed = "An extension such as log or .log."
    if not text.strip("*?. "):
        yield Fault("dangerousExclusion", f"{text[:128]!r} would hide files of every kind.", allowed)
    elif any(mark in text for mark in "*?/\\ "):
        yield Fault("invalidExtension", f"{text[:128]!r} is not a file extension.", allowed)


def _misspelt(text: str, *, wildcards: bool) -> Iterator[Fault]:
    segments = text.split("/")
    if not text.startswith("/"):
        yield _relative(text)
    if any(segment in (".", "..") for segment in segments):
        yield Fault("invalidPath", "The path steps through . or ..", "A path without . and .. in it.")
    if _VARIABLE.search(text):
        yield Fault("invalidPath", "Variables are not replaced in an exclusion.", "The path itself.")
    if not wildcards and any(mark in text for mark in "*?"):
        yield Fault("invalidPath", "Wildcards do not work here.", "A path without * and ?.")
    if len(text.encode()) > MAX_PATH_BYTES or any(len(segment.encode()) > MAX_NAME_BYTES for segment in segments):
        allowed = f"At most {MAX_PATH_BYTES} bytes, {MAX_NAME_BYTES} between two slashes."
        yield Fault("invalidPath", "No file can have such a long path.", allowed)


def _relative(text: str) -> Fault:
    return Fault("invalidPath", f"{text[:128]!r} does not say where it begins.", "An absolute path, starting with /.")
