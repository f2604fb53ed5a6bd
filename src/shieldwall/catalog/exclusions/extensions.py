"""Extensions of files that would be left out wherever they lie."""

from __future__ import annotations

from collections.abc import Iterator

from shieldwall.catalog.exclusions.landscape import Landscape
from shieldwall.catalog.faults import Fault


def extension_faults(landscape: Landscape, text: str) -> Iterator[Fault]:
    """Yield what is wrong with a file extension, written with or without its dot."""
    allowed = "An extension such as log or .log."
    if not text.strip("*?. "):
        yield Fault("dangerousExclusion", f"{text[:128]!r} would hide files of every kind.", allowed)
    elif any(mark in text for mark in "*?/\\ :"):
        yield Fault("invalidExtension", f"{text[:128]!r} is not a file extension.", allowed)
    elif text.lower().rstrip(".").rpartition(".")[2] in landscape.program_extensions:
        yield Fault("dangerousExclusion", f"{text[:128]!r} would hide programs wherever they lie.", allowed)
