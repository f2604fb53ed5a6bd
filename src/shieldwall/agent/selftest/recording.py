"""A recording: what a machine was asked, and what it answered; every question once, names and secrets taken out.

It is JSON, though not the strict one of the contract, which has no numbers with fractions: Windows answers with some.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from shieldwall.agent.host.errors import HostError
from shieldwall.contract.kinds import learned

FORMAT: Final = 1
_Text = Annotated[str, msgspec.Meta(max_length=64 * 1024)]


class RecordingError(HostError):
    """A file holds no recording that can be replayed."""

    code = "recordingUnusable"
    remedy = "Make it anew with `shieldwall-agent selftest --record FILE`."


class Refusal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An answer that is an error: its code, its words, and on Windows its number."""

    code: _Text
    cause: _Text
    status: int = 0


class CimAnswer(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """What the management of Windows said of one class."""

    namespace: _Text
    class_name: _Text
    options: dict[str, str] = {}
    instances: list[dict[str, Any]] = []
    refusal: Refusal | None = None


class FileAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a file or a document held, as text, or as Base64 where it is none; neither where there is no such file."""

    path: _Text
    text: Annotated[str, msgspec.Meta(max_length=8 * 1024 * 1024)] | None = None
    base64: Annotated[str, msgspec.Meta(max_length=8 * 1024 * 1024)] | None = None
    refusal: Refusal | None = None


class ProgramAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a program printed; ``stdin`` tells questions to the same program apart."""

    command: list[str]
    stdin: str = ""
    returncode: int = 0
    stdout: Annotated[str, msgspec.Meta(max_length=8 * 1024 * 1024)] = ""
    stderr: Annotated[str, msgspec.Meta(max_length=8 * 1024 * 1024)] = ""
    refusal: Refusal | None = None


class Recording(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """All that was asked of one machine. ``programs`` that are on it are named with their places, others with none."""

    format: int
    platform: str
    agent_version: str
    catalog_version: str
    cim: list[CimAnswer] = []
    files: list[FileAnswer] = []
    found: dict[str, str | None] = {}
    programs: list[ProgramAnswer] = []
    present: list[str] = []
    """Paths that somebody looked at and that are there."""


def write(recording: Recording) -> bytes:
    """Return the recording as a file."""
    return msgspec.json.format(msgspec.json.encode(recording), indent=1) + b"\n"


def read(content: bytes) -> Recording:
    """Read a recording. Raises: RecordingError."""
    try:
        recording = msgspec.json.decode(content, type=learned(Recording))
    except msgspec.MsgspecError as error:
        raise RecordingError(f"This is no recording: {error}") from None
    if recording.format != FORMAT:
        raise RecordingError(f"The recording has the format {recording.format}; known is {FORMAT}.")
    return recording
