"""Exclusions as Linux and macOS write them: paths that begin with a slash, and names of processes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from shieldwall.catalog.exclusions.landscape import Landscape
from shieldwall.catalog.faults import Fault

MAX_PATH_BYTES: Final = 4_095
MAX_NAME_BYTES: Final = 255

_VARIABLE: Final = re.compile(r"%[^%/]+%|\$\{|\$[A-Za-z_(]")


def path_faults(landscape: Landscape, text: str, *, wildcards: bool) -> Iterator[Fault]:
    """Yield what is wrong with a path that would be left out with all below it."""
    written = list(_misspelt(text, wildcards=wildcards))
    if written:
        yield from written
        return
    hidden = landscape.hidden_by_path(text)
    if hidden:
        yield Fault("dangerousExclusion", f"{text[:128]!r} would hide {hidden}.", "A narrower path.")


def process_faults(landscape: Landscape, text: str, *, wildcards: bool) -> Iterator[Fault]:
    """Yield what is wrong with a process, named alone or with its path, whose doings would be left out."""
    written = list(_misspelt(text, wildcards=wildcards)) if "/" in text else []
    if written:
        yield from written
        return
    hidden = landscape.hidden_by_process(text)
    if hidden:
        yield Fault("dangerousExclusion", f"{text[:128]!r} would hide {hidden}.", "The name of one other program.")


def process_path_faults(landscape: Landscape, text: str) -> Iterator[Fault]:
    """Yield what is wrong with a process that must be named with its path, and without wildcards."""
    if text.startswith("/"):
        yield from process_faults(landscape, text, wildcards=False)
    else:
        yield _relative(text)


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
