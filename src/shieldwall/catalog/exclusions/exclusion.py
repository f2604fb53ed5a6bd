"""A path or program that would be left out, perhaps with wildcards, and which places and programs it speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from shieldwall.catalog.globs import Glob

_VERSION: Final = re.compile(r"[-0-9.*?]*\Z")
"""What may follow a program's name: ``3.11`` in ``python3.11``."""


class Exclusion:
    """A path that would be left out, with all below it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.folder, _, self.name = path.rpartition("/")
        self._whole = Glob(path)
        self._parts = [Glob(part) for part in path.split("/")]

    def is_one_of(self, places: Iterable[str]) -> bool:
        """Say whether it stands for one of these places itself."""
        return self._whole.matches_any(places)

    def is_shaped_like(self, shapes: tuple[str, ...]) -> bool:
        """Say whether it stands for a place of one of these shapes, in which a name left empty stands for any."""
        return any(
            len(names) == len(self._parts)
            and all(not name or part.matches(name) for part, name in zip(self._parts, names, strict=True))
            for names in (shape.split("/") for shape in shapes)
        )

    def covers(self, place: str) -> bool:
        """Say whether ``place`` is left out: because it matches, or a folder above it does."""
        parts = place.split("/")
        return any(self._whole.matches("/".join(parts[:length])) for length in range(2, len(parts) + 1))

    def touches(self, places: tuple[str, ...]) -> bool:
        """Say whether one of the places, or something inside it, is left out; a bare name speaks of no place."""
        return self.path.startswith("/") and any(self.covers(place) or self._is_inside(place) for place in places)

    def is_program(self, programs: tuple[str, ...], ending: str = "") -> bool:
        """Say whether the last name, perhaps with wildcards, may be that of a program or of one of its versions."""
        name = self.name.removesuffix(ending)
        version = _VERSION.search(name)
        assert version is not None, "the pattern matches the empty text"
        heads = [Glob(name[:end]) for end in range(version.start(), len(name) + 1)]
        if any(head.matches_any(programs) for head in heads):
            return True
        return bool(ending) and Glob(self.name).matches_any(program + ending for program in programs)

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
