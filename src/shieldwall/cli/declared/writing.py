"""Objects of a server as files of a directory, so that reading them back declares just what is there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from shieldwall.cli.declared.objects import FOLDERS, Kind, Present

_ODD: Final = re.compile(r"[^\w .()+-]+")
_LONGEST: Final = 80


def files_of(objects: Iterable[Present]) -> Mapping[PurePath, bytes]:
    """Write each object as one file, named after it; no two names are the same, also where case does not count."""
    files: dict[PurePath, bytes] = {}
    taken: set[str] = set()
    for each in sorted(objects, key=lambda present: (present.kind, present.name, present.id)):
        path = _free(each.kind, each.name, taken)
        taken.add(str(path).casefold())
        files[path] = written(each.document)
    return files


def written(document: object) -> bytes:
    """Write a document as people read it: members in their order, indented, a line break at the end."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _free(kind: Kind, name: str, taken: set[str]) -> PurePath:
    stem = _ODD.sub("_", name).strip(" .")[:_LONGEST].strip(" .") or "unnamed"
    number = 1
    while True:
        path = PurePath(FOLDERS[kind], f"{stem}{f' ({number})' if number > 1 else ''}.json")
        if str(path).casefold() not in taken:
            return path
        number += 1


def replace_files(directory: Path, there: Iterable[Path], files: Mapping[PurePath, bytes]) -> None:
    """Put new files in the places of those there are, which stay until all the new ones are written.

    Raises:
        OSError: Something cannot be written; where it was a new file, nothing has changed.
    """
    with TemporaryDirectory(prefix=".export-", dir=directory) as staging:
        written = [(Path(staging, str(number)), directory / place) for number, place in enumerate(files)]
        for (new, _), content in zip(written, files.values(), strict=True):
            new.write_bytes(content)
        for new, place in written:
            new.replace(place)
    for file in set(there) - {place for _, place in written}:
        file.unlink()
