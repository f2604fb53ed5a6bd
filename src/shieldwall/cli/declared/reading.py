"""Declared objects from the files of a directory: JSON alone, one folder for each kind."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from shieldwall.cli.declared.authored import authored
from shieldwall.cli.declared.objects import FOLDERS, Declared, InvalidDeclarationError, Kind
from shieldwall.cli.exports import InvalidExportError, document_in, policies_in

_YAML: Final = frozenset({".yaml", ".yml"})
_MOST_BYTES: Final = 64 << 20
"""Room for a list of hundreds of policies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What a directory declares, and of which kinds it speaks at all: a kind without a folder is not spoken of."""

    objects: tuple[Declared, ...]
    kinds: frozenset[Kind]

    def of(self, kind: Kind) -> list[Declared]:
        """Return the declared objects of one kind."""
        return [each for each in self.objects if each.kind is kind]


def read_directory(directory: Path) -> Declaration:
    """Read a directory. Raises: InvalidDeclarationError naming everything that is wrong, file by file."""
    if not directory.is_dir():
        raise InvalidDeclarationError(f"{directory} is not a directory.")
    files: dict[PurePath, tuple[Kind, bytes]] = {}
    wrong: list[str] = []
    kinds = frozenset(kind for kind, folder in FOLDERS.items() if (directory / folder).is_dir())
    for kind in Kind:
        for path in sorted(_below(directory / FOLDERS[kind], directory, wrong)):
            place = path.relative_to(directory)
            if path.suffix.lower() in _YAML:
                wrong.append(f"{place}: YAML is not read; write it as JSON.")
            elif path.suffix.lower() == ".json":
                try:
                    files[place] = (kind, _content(path))
                except OSError as error:
                    wrong.append(f"{place} cannot be read: {error.strerror}.")
    wrong += [f"{path.name} is in no folder of: {', '.join(FOLDERS.values())}." for path in directory.glob("*.json")]
    return Declaration(objects=tuple(declared_in(files, wrong)), kinds=kinds)


def declared_in(files: Mapping[PurePath, tuple[Kind, bytes]], wrong: Iterable[str] = ()) -> list[Declared]:
    """Read the contents of files. Raises: InvalidDeclarationError with ``wrong`` and all that is found besides."""
    found: list[Declared] = []
    notes = list(wrong)
    for file, (kind, content) in files.items():
        try:
            documents = _policies(content) if kind is Kind.POLICY else [document_in(content)]
            found += [Declared(kind=kind, document=authored(kind, document), file=file) for document in documents]
        except (InvalidExportError, InvalidDeclarationError) as error:
            notes.append(f"{file}: {error.cause}")
    counts = Counter((each.kind, each.name) for each in found)
    for (kind, name), count in counts.items():
        if count > 1:
            places = ", ".join(str(each.file) for each in found if (each.kind, each.name) == (kind, name))
            notes.append(f"The {kind} {name!r} is declared {count} times: {places}.")
    if notes:
        raise InvalidDeclarationError.of("The directory cannot be taken as it is.", notes)
    return found


def _below(folder: Path, directory: Path, wrong: list[str]) -> Iterator[Path]:
    """Find every file below a folder; what was passed over in silence would read as if it were not declared."""

    def unreadable(error: OSError) -> None:
        if error.errno != errno.ENOENT:  # a kind without a folder is not spoken of
            wrong.append(f"{Path(error.filename).relative_to(directory)} cannot be read: {error.strerror}.")

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        for name in folders:
            link = Path(parent, name)
            if link.is_symlink():
                wrong.append(f"{link.relative_to(directory)} is a link to a folder, which is not followed.")
        yield from (Path(parent, name) for name in names)


def _content(path: Path) -> bytes:
    """Read a file as it can be meant: a device or a pipe might never end. Raises: OSError."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    if found.st_size > _MOST_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {_MOST_BYTES >> 20} MiB")
    return path.read_bytes()


def _policies(content: bytes) -> list[object]:
    return [exported.document for exported in policies_in(content)]
