"""What the gate is told, in one file that the applier writes: strict JSON, read whole or not at all."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Final, Literal

import msgspec

from shieldwall.contract.kinds import learned

CONFIGURATION: Final = PurePosixPath("/etc/shieldwall/clamav/broker.json")
PROBE_DIRECTORY: Final = PurePosixPath("/var/lib/shieldwall-applier/probe")
"""Where the applier lays files to see whether they are denied; what is found there is told of apart."""
PROBES: Final = "probes"
"""The place of that in the spool: ``probes.jsonl``."""

Action = Literal["block", "audit", "off"]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class Left(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What is not looked at. Paths may hold ``*`` and ``?``; processes are names or paths of their programs."""

    files: tuple[Text, ...] = ()
    """These very files."""
    folders: tuple[Text, ...] = ()
    """These folders with all below."""
    extensions: tuple[Text, ...] = ()
    """Ends of names, without the dot."""
    processes: tuple[Text, ...] = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How to guard. Times are in seconds, sizes in bytes."""

    format: Literal[1] = 1
    mode: Literal["block", "audit"]
    """Whether threats are denied, or only told of."""
    when_engine_is_down: Literal["allow", "deny"] = "allow"
    """What happens to opens that nobody can judge; files that only root can change pass all the same."""
    engine_socket: Text
    engine_databases: Text
    engine_user: Text | None = None
    unwanted_applications: Action = "block"
    archive_bombs: Action = "block"
    hashes: bool = False
    """Whether a detection tells the SHA-256 of the file."""
    left_out: Left = Left()
    unmonitored_filesystems: tuple[Text, ...] = ("nfs", "fuse")
    mute_noexec_mounts: bool = False
    maximum_file_bytes: Annotated[int, msgspec.Meta(ge=1)] = 100 * 1024 * 1024
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    deadline_seconds: Annotated[float, msgspec.Meta(gt=0, le=300)] = 20.0
    cache_entries: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 20_000


def read(content: bytes) -> Settings:
    """Read the file. Raises: msgspec.DecodeError when it says anything else than settings."""
    return msgspec.json.decode(content, type=learned(Settings))


def write(settings: Settings) -> bytes:
    """Return the bytes that ``read`` takes, for people in lines."""
    return msgspec.json.format(msgspec.json.encode(settings), indent=2) + b"\n"
