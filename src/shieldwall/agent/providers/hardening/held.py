"""Whole files that are held while a policy wants them, and given back as they were. Pure.

Values of the kernel are such files too: what stood there before management is kept, whoever set it.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath

from shieldwall.agent.host.kernel_files import is_kernel_file
from shieldwall.agent.providers.base import Files, Kept

_BEFORE = "before"


def unmanaged(files: Files, kept: Kept, *, stuck: Collection[PurePosixPath] = ()) -> Files:
    """Return the files as they would be without us; what is ``stuck`` nobody can change before a restart."""
    before = {PurePosixPath(path): _content(text) for path, text in kept.get(_BEFORE, {}).items()}
    return {**files, **{path: content for path, content in before.items() if not _fixed(path, files, stuck)}}


def hold(
    files: Files, wanted: Mapping[PurePosixPath, bytes], kept: Kept, *, stuck: Collection[PurePosixPath] = ()
) -> tuple[Files, Kept]:
    """Give the wanted files their contents and all others back what they held; say what to keep."""
    before = unmanaged(files, kept, stuck=stuck)
    held = {path: content for path, content in wanted.items() if not _fixed(path, files, stuck)}
    paths = files.keys() | before.keys() | held.keys()
    remembered = {str(path): _text(before.get(path)) for path in sorted(held)}
    return (
        {path: held[path] if path in held else before.get(path) for path in paths},
        {_BEFORE: remembered} if remembered else {},
    )


def _fixed(path: PurePosixPath, files: Files, stuck: Collection[PurePosixPath]) -> bool:
    """Say whether a value can be neither set nor given back: locked, or the kernel has it no more."""
    return path in stuck or (is_kernel_file(path) and files.get(path) is None)


def _text(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def _content(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
