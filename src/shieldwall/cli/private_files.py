"""Files that are made new and that only their owner may read: logins, with secrets that are shown once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from shieldwall.contract.errors import ShieldwallError


class FileExistsAlreadyError(ShieldwallError):
    """The file to write is there already."""

    code = "fileExists"
    remedy = "Name another file, or remove this one first."


class FileNotWritableError(ShieldwallError):
    """The file cannot be made where it was named."""

    code = "fileNotWritable"
    remedy = "Name a file in a directory that is there and that you may write to."


@contextmanager
def new_private_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that was not there before and only its owner may read; it goes again if what follows fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise FileExistsAlreadyError(f"There is a file {path} already.") from None
    except OSError as error:
        raise FileNotWritableError(f"{path} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "wb") as file:
        try:
            yield file
        except BaseException:
            path.unlink()
            raise
