"""What must never be hidden on a platform, and whether an exclusion would hide it.

Every path here has slashes and no drive; where a platform does not tell upper from lower case, all is lower case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from shieldwall.catalog.exclusions.exclusion import Exclusion
from shieldwall.catalog.globs import Glob

ONLY_WILDCARDS: Final = re.compile(r"(?:/[*?]*)+\Z")
_SLASHES: Final = re.compile(r"/+")


class Landscape(Struct, frozen=True, kw_only=True):
    """The places and programs of a platform that an exclusion must leave alone.

    Nothing inside ``agent``, ``engine`` and ``sealed`` can be left out; ``broad`` places cannot be left out as a whole,
    nor can ``volumes`` and ``crowded``, in which a name left empty stands for any. ``loaders`` are interpreters that
    lie beside libraries. ``program_ending`` is what the name of a program ends with. A place that goes by several names
    stands here under each, see ``with_other_names``.
    """

    system: tuple[str, ...]
    agent: tuple[str, ...]
    engine: tuple[str, ...]
    sealed: tuple[str, ...] = ()
    broad: tuple[str, ...]
    crowded: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    program_folders: tuple[str, ...]
    program_ending: str = ""
    interpreters: tuple[str, ...]
    loaders: tuple[str, ...] = ()
    agent_programs: tuple[str, ...] = ("shieldwall", "shieldwall-agent")
    engine_programs: tuple[str, ...]
    program_extensions: frozenset[str]
    folds_case: bool = False

    def exclusion(self, path: str) -> Exclusion:
        """Read a path that would be left out."""
        plain = ONLY_WILDCARDS.sub("", _SLASHES.sub("/", path)).rstrip("/") or "/"
        return Exclusion(plain.lower() if self.folds_case else plain)

    def hidden_by_path(self, path: str) -> str | None:
        """Say what must be seen that would be hidden with a path and all below it; ``None`` when nothing would."""
        exclusion = self.exclusion(path)
        return next((what for what, hides in _HIDES if hides(self, exclusion)), None)

    def hidden_by_process(self, process: str) -> str | None:
        """Say what must be seen that would be hidden with what a process touches; ``None`` when nothing would."""
        exclusion = Exclusion(process.lower() if self.folds_case else process)
        ending = self.program_ending
        if not exclusion.name.removesuffix(ending).strip("*?"):
            apart = exclusion.name and exclusion.folder and self.hidden_by_path(exclusion.folder) is None
            return None if apart else "every process"
        if exclusion.is_program(self.interpreters, ending):
            return "an interpreter, which runs anything"
        if exclusion.is_program(self.agent_programs, ending) or exclusion.touches(self.agent):
            return "the Shieldwall agent"
        if exclusion.is_program(self.engine_programs, ending) or exclusion.touches(self.engine):
            return "the antivirus engine"
        return None

    def hides_system(self, exclusion: Exclusion) -> bool:
        """Say whether a great part of the system would be hidden."""
        return exclusion.path == "/" or any(exclusion.covers(place) for place in self.system)

    def hides_programs(self, exclusion: Exclusion) -> bool:
        """Say whether all programs of a folder would be hidden that cannot be hidden itself: ``*.dll``."""
        stem, _, extension = exclusion.name.rpartition(".")
        if stem.strip("*?") or extension.lower() not in self.program_extensions:
            return False
        return self.hidden_by_path(exclusion.folder) is not None

    def hides_interpreters(self, exclusion: Exclusion) -> bool:
        """Say whether an interpreter would be hidden: one where they stand, or one by its name anywhere."""
        if self.program_ending:
            named = exclusion.name.endswith(self.program_ending)
            named = named and bool(exclusion.name.removesuffix(self.program_ending).strip("*?"))
        else:
            named = exclusion.folder.endswith("bin") or Glob(exclusion.folder).matches_any(self.program_folders)
        if named and exclusion.is_program(self.interpreters, self.program_ending):
            return True
        if exclusion.name.startswith("ld-") and exclusion.is_program(self.loaders):
            return True
        return any(exclusion.covers(folder) for folder in self.program_folders) or exclusion.is_one_of(
            f"{folder}/{program}{self.program_ending}"
            for folder in self.program_folders
            for program in self.interpreters
        )


def with_other_names(places: tuple[str, ...], links: Mapping[str, str]) -> tuple[str, ...]:
    """Add the names that places go by through links: from where a link stands to where it leads."""
    others = (
        link + place.removeprefix(leads)
        for place in places
        for link, leads in links.items()
        if place == leads or place.startswith(f"{leads}/")
    )
    return tuple(dict.fromkeys((*places, *others)))


_HIDES: Final[tuple[tuple[str, Callable[[Landscape, Exclusion], bool]], ...]] = (
    ("a great part of the system", Landscape.hides_system),
    ("the Shieldwall agent", lambda landscape, exclusion: exclusion.touches(landscape.agent)),
    ("the antivirus engine or its quarantine", lambda landscape, exclusion: exclusion.touches(landscape.engine)),
    ("what belongs to the system alone", lambda landscape, exclusion: exclusion.touches(landscape.sealed)),
    ("interpreters, which run anything", Landscape.hides_interpreters),
    ("all programs of a folder that needs them seen", Landscape.hides_programs),
    ("a whole volume", lambda landscape, exclusion: exclusion.is_shaped_like(landscape.volumes)),
    (
        "a folder that malware likes and everything needs",
        lambda landscape, exclusion: (
            exclusion.is_one_of(landscape.broad) or exclusion.is_shaped_like(landscape.crowded)
        ),
    ),
)
"""What must never be hidden, and whether an exclusion would."""
