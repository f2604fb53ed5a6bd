"""Bytes under a veil: each combined with a fixed one, so that nothing finds them or runs them by mistake."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_VEIL: Final = 0xA5
_VEILED: Final = bytes(byte ^ _VEIL for byte in range(256))
_CHUNK: Final = 1024 * 1024


def copy_veiled(source: int, target: Path, most: int) -> tuple[str, int]:
    """Copy an open file, veiled, to a new one, durably; return SHA-256 and size of what is under the veil.

    Raises:
        OSError: The disk is full, or it is longer than ``most`` bytes.
    """
    digest, size = hashlib.sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    target.unlink(missing_ok=True)
    with open(os.open(target, flags, 0o600), "wb") as file:  # noqa: PTH123 - pathlib cannot wrap an open descriptor
        for chunk in _chunks(source):
            size += len(chunk)
            if size > most:
                raise OSError(27, "it grows while it is stored")
            digest.update(chunk)
            file.write(chunk.translate(_VEILED))
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), size


def copy_unveiled(source: Path, target: int) -> str:
    """Copy a veiled file to an open one, as it was; return its SHA-256. Raises: OSError."""
    digest = hashlib.sha256()
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK):
            plain = chunk.translate(_VEILED)
            digest.update(plain)
            view = memoryview(plain)
            while view:
                view = view[os.write(target, view) :]
    return digest.hexdigest()


def _chunks(descriptor: int) -> Iterator[bytes]:
    offset = 0
    while chunk := os.pread(descriptor, _CHUNK, offset):
        offset += len(chunk)
        yield chunk
