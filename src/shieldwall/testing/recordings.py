"""A recorded machine: it answers what the real one answered, and knows nothing that nobody asked.

Recordings are made by ``shieldwall-agent selftest --record FILE`` on the real machine. Sent to us, they show whether
the stand-ins here are like it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from shieldwall.agent.host.cim import CimError, LanguageModeError, Properties
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.selftest.recording import Recording, RecordingError, Refusal


class NeverAskedError(HostError):
    """The recording does not hold the answer."""

    code = "neverAsked"
    remedy = "Make the recording anew with this version of the agent."


@dataclass(frozen=True, slots=True)
class RecordedHost:
    """Implements ``Host``. ``root`` is a directory of its own in which the paths that were there are made."""

    recording: Recording
    root: Path
    written: dict[str, bytes | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make what somebody looked at. Raises: RecordingError: A path leads out of ``root``; nothing is made then."""
        parts = [PurePosixPath(path).parts[1:] for path in self.recording.present]
        if any(".." in each or any("\0" in part for part in each) for each in parts):
            raise RecordingError("A path in the recording leads out of its directory.")
        for each in parts:
            located = self.root.joinpath(*each)
            located.parent.mkdir(parents=True, exist_ok=True)
            located.touch()

    def locate(self, path: PurePosixPath) -> Path:
        """See ``Host.locate``."""
        return self.root.joinpath(*path.parts[1:])

    def read_file(self, path: PurePosixPath) -> bytes | None:
        """See ``Host.read_file``. Raises: HostError."""
        if str(path) in self.written:
            return self.written[str(path)]
        for answer in self.recording.files:
            if answer.path == str(path):
                if answer.refusal is not None:
                    raise _error(answer.refusal)
                if answer.base64 is not None:
                    return _bytes(answer.base64)
                return None if answer.text is None else answer.text.encode()
        raise NeverAskedError(f"Nobody read {path} when this was recorded.")

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:  # noqa: ARG002 - port
        """See ``Host.write_file``; what is written is read back, and the recording stays as it is."""
        self.written[str(path)] = content

    def find_program(self, name: str) -> str | None:
        """See ``Host.find_program``. Raises: NeverAskedError."""
        try:
            return self.recording.found[name]
        except KeyError:
            raise NeverAskedError(f"Nobody looked for {name} when this was recorded.") from None

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:  # noqa: ARG002 - port
        """See ``Host.run``. Raises: HostError."""
        for answer in self.recording.programs:
            if answer.command == list(command) and answer.stdin == stdin.decode(errors="replace"):
                if answer.refusal is not None:
                    raise _error(answer.refusal)
                return Completed(
                    returncode=answer.returncode, stdout=answer.stdout.encode(), stderr=answer.stderr.encode()
                )
        raise NeverAskedError(f"Nobody ran {' '.join(command)[:200]} when this was recorded.")


@dataclass(frozen=True, slots=True)
class RecordedCim:
    """Implements ``Cim``."""

    recording: Recording

    def instances(self, namespace: str, class_name: str, **options: str) -> Sequence[Properties]:
        """See ``Cim.instances``. Raises: CimError."""
        wanted = (namespace.lower(), class_name.lower())
        for answer in self.recording.cim:
            if (answer.namespace.lower(), answer.class_name.lower()) == wanted and answer.options == options:
                if answer.refusal is not None:
                    raise _refused(answer.refusal)
                return list(answer.instances)
        raise CimError(f"Nobody asked for {namespace}:{class_name} when this was recorded.")

    def invoke(self, namespace: str, class_name: str, method: str, arguments: Properties) -> Properties:
        """See ``Cim.invoke``. Raises: CimError: always; a recording changes nothing."""
        raise CimError(f"{method} of {namespace}:{class_name} cannot be replayed ({len(arguments)} arguments).")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise RecordingError("A file in the recording is not in Base64.") from None


def _refused(refusal: Refusal) -> CimError:
    cause = refusal.cause.removesuffix(f" (0x{refusal.status:08x})")
    kind = LanguageModeError if refusal.code == LanguageModeError.code else CimError
    return kind(cause, status=refusal.status)


def _error(refusal: Refusal) -> HostError:
    for kind in _kinds(HostError):
        if kind.code == refusal.code and not issubclass(kind, CimError):
            return kind(refusal.cause)
    return _refused(refusal)


def _kinds(kind: type[HostError]) -> list[type[HostError]]:
    return [kind, *(below for each in kind.__subclasses__() for below in _kinds(each))]
