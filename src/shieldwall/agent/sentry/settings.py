"""What the sentry is told, in one file that the applier writes: strict JSON, read whole or not at all."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

import msgspec

from shieldwall.contract.kinds import learned

CONFIGURATION: Final = PurePosixPath("/etc/shieldwall/sentry.json")
PROBE: Final = PurePosixPath("/var/lib/shieldwall-applier/probe-names/agetty")
"""A program that pretends, laid there to see whether it is kept from starting."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How to look."""

    format: Literal[1] = 1
    mode: Literal["block", "audit"]
    """Whether a program that pretends is kept from starting, or only told of."""
    excluded: tuple[Text, ...] = ()


def read(content: bytes) -> Settings:
    """Read the file. Raises: msgspec.DecodeError when it says anything else than settings."""
    return msgspec.json.decode(content, type=learned(Settings))


def write(settings: Settings) -> bytes:
    """Return the bytes that ``read`` takes."""
    return msgspec.json.format(msgspec.json.encode(settings), indent=2) + b"\n"
