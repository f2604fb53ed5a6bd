"""Is a file or a process left out? Pure.

``*`` stands for any characters within one folder, for one whole folder where it stands alone, and for everything below
when it ends the path; ``?`` for one character. Links have been followed already: the kernel tells where a file lies.

No regular expressions: whoever names a file must not be able to keep the gate busy with it. Each comparison takes at
most as many steps as the two lengths multiplied.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shieldwall.agent.broker.settings import Left

_WILD: Final = frozenset("*?")


class Matcher:
    """Exclusions made ready: what is literal is looked up, what is wild is tried."""

    def __init__(self, left: Left) -> None:
        self._files = frozenset(path for path in left.files if not _is_wild(path))
        self._folders = frozenset(path.rstrip("/") for path in left.folders if not _is_wild(path))
        self._wild_files = tuple(_segments(path) for path in left.files if _is_wild(path))
        self._wild_folders = tuple(_segments(path.rstrip("/")) for path in left.folders if _is_wild(path))
        self._extensions = tuple(f".{extension}" for extension in left.extensions)
        self._process_names = frozenset(name for name in left.processes if "/" not in name and not _is_wild(name))
        self._wild_names = tuple(name for name in left.processes if "/" not in name and _is_wild(name))
        self._programs = frozenset(path for path in left.processes if "/" in path and not _is_wild(path))
        self._wild_programs = tuple(_segments(path) for path in left.processes if "/" in path and _is_wild(path))
        self.knows_files = bool(
            self._files or self._folders or self._wild_files or self._wild_folders or self._extensions
        )
        self.knows_processes = bool(self._process_names or self._wild_names or self._programs or self._wild_programs)

    def leaves_out_file(self, path: str) -> bool:
        """Say whether the file at this path, as the kernel names it, is left out."""
        if path in self._files or (self._extensions and path.endswith(self._extensions)):
            return True
        if self._folders and not self._folders.isdisjoint(_above(path)):
            return True
        if not self._wild_files and not self._wild_folders:
            return False
        segments = _segments(path)
        return any(_matches(pattern, segments) for pattern in self._wild_files) or any(
            _matches_above(pattern, segments) for pattern in self._wild_folders
        )

    def leaves_out_process(self, program: str) -> bool:
        """Say whether what the process running this program opens is left out."""
        name = program.rpartition("/")[2]
        if program in self._programs or name in self._process_names:
            return True
        if any(_fits(pattern, name) for pattern in self._wild_names):
            return True
        return bool(self._wild_programs) and any(
            _matches(pattern, _segments(program)) for pattern in self._wild_programs
        )


def _is_wild(text: str) -> bool:
    return not _WILD.isdisjoint(text)


def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.split("/"))


def _above(path: str) -> Iterable[str]:
    """Yield the path and every folder above it."""
    yield path
    end = path.rfind("/")
    while end > 0:
        yield path[:end]
        end = path.rfind("/", 0, end)


def _matches(pattern: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    """Compare a path with a pattern whose last star reaches below."""
    if pattern[-1].endswith("*"):
        last = len(pattern) - 1
        return (
            len(segments) > last
            and all(map(_fits_segment, pattern[:last], segments[:last]))
            and _fits(pattern[last], segments[last])
        )
    return len(pattern) == len(segments) and all(map(_fits_segment, pattern, segments))


def _matches_above(pattern: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    """Compare a path, and the folders above it, with a pattern."""
    return _matches(pattern, segments) or (
        len(segments) > len(pattern) and all(map(_fits_segment, pattern, segments))  # map ends with the shorter
    )


def _fits_segment(pattern: str, text: str) -> bool:
    if pattern == "*":
        return text != ""
    return _fits(pattern, text)


def _fits(pattern: str, text: str) -> bool:
    """Compare one name with its pattern; after a mismatch only the last star takes one character more."""
    if not _is_wild(pattern):
        return pattern == text
    at, star, mark, position = 0, -1, 0, 0
    while position < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, mark = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[position]):
            at += 1
            position += 1
        elif star >= 0:
            mark += 1
            at, position = star + 1, mark
        else:
            return False
    return all(character == "*" for character in pattern[at:])
