"""A host and a management that note every question and its answer, and pass both on."""

from __future__ import annotations

import base64
import json
import plistlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from msgspec import Struct, field

from shieldwall import __version__
from shieldwall.agent.host.cim import Cim, CimError, Properties
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Completed, Host
from shieldwall.agent.selftest.recording import (
    FORMAT,
    CimAnswer,
    FileAnswer,
    ProgramAnswer,
    Recording,
    Refusal,
)
from shieldwall.agent.selftest.redacting import Redaction

T = TypeVar("T")


class NotRecordedError(HostError):
    """A self-test that only reads was about to change something."""

    code = "selfTestReads"
    remedy = "This is an error of the agent: report it. Nothing was changed."


class Notes(Struct):
    """What was asked so far; the first answer to a question counts."""

    cim: dict[tuple[str, str, str], CimAnswer] = field(default_factory=dict)
    files: dict[str, FileAnswer] = field(default_factory=dict)
    found: dict[str, str | None] = field(default_factory=dict)
    programs: dict[tuple[tuple[str, ...], bytes], ProgramAnswer] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def recording(self, platform: str, catalog_version: str, redaction: Redaction) -> Recording:
        """Make a recording of what was asked."""
        return Recording(
            format=FORMAT,
            platform=platform,
            agent_version=__version__,
            catalog_version=catalog_version,
            cim=[_cim(answer, redaction) for answer in self.cim.values()],
            files=[_file(answer, redaction) for answer in self.files.values()],
            found=dict(sorted(self.found.items())),
            programs=[_program(answer, redaction) for answer in self.programs.values()],
            present=sorted(self.present),
        )


class RecordingHost(Struct, frozen=True):
    """Implements ``Host``. It writes nothing, and runs what providers run to look."""

    host: Host
    notes: Notes

    @property
    def root(self) -> Path:
        """See ``Host.root``."""
        return self.host.root

    def locate(self, path: PurePosixPath) -> Path:
        """See ``Host.locate``. Raises: RefusedFileError."""
        located = self.host.locate(path)
        if located.exists():
            self.notes.present.add(str(path))
        return located

    def read_file(self, path: PurePosixPath) -> bytes | None:
        """See ``Host.read_file``. Raises: HostError."""
        content, refusal = _answered(lambda: self.host.read_file(path))
        text, raw = _as_text(content)
        self.notes.files.setdefault(str(path), FileAnswer(path=str(path), text=text, base64=raw, refusal=refusal))
        if refusal is not None:
            return self.host.read_file(path)  # raises it once more
        return content

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        """See ``Host.write_file``. Raises: NotRecordedError: always."""
        raise NotRecordedError(f"{path} would have been changed: {len(content or b'')} bytes, mode {mode:o}.")

    def find_program(self, name: str) -> str | None:
        """See ``Host.find_program``."""
        found = self.host.find_program(name)
        self.notes.found.setdefault(name, found)
        return found

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        """See ``Host.run``. Raises: HostError."""
        done: Completed | None = None
        refusal: HostError | None = None
        try:
            done = self.host.run(command, stdin=stdin, timeout_seconds=timeout_seconds)
        except HostError as error:
            refusal = error
        answer = ProgramAnswer(
            command=list(command),
            stdin=stdin.decode(errors="replace"),
            returncode=0 if done is None else done.returncode,
            stdout="" if done is None else done.stdout.decode(errors="replace"),
            stderr="" if done is None else done.stderr.decode(errors="replace"),
            refusal=_refusal(refusal),
        )
        self.notes.programs.setdefault((tuple(command), stdin), answer)
        if refusal is not None:
            raise refusal
        assert done is not None, "a program ends, or is refused"
        return done


class RecordingCim(Struct, frozen=True):
    """Implements ``Cim``; methods change something, so none is called."""

    cim: Cim
    notes: Notes

    def instances(self, namespace: str, class_name: str, **options: str) -> Sequence[Properties]:
        """See ``Cim.instances``. Raises: CimError."""
        found: Sequence[Properties] = ()
        refusal: CimError | None = None
        try:
            found = self.cim.instances(namespace, class_name, **options)
        except CimError as error:
            refusal = error
        key = (namespace.lower(), class_name.lower(), json.dumps(options, sort_keys=True))
        answer = CimAnswer(
            namespace=namespace,
            class_name=class_name,
            options=options,
            instances=[dict(each) for each in found],
            refusal=_refusal(refusal),
        )
        self.notes.cim.setdefault(key, answer)
        if refusal is not None:
            raise refusal
        return found

    def invoke(self, namespace: str, class_name: str, method: str, arguments: Properties) -> Properties:
        """See ``Cim.invoke``. Raises: NotRecordedError: always."""
        raise NotRecordedError(
            f"{method} of {namespace}:{class_name} would have been called with {len(arguments)} words."
        )


def _answered(ask: Callable[[], T]) -> tuple[T | None, Refusal | None]:
    try:
        return ask(), None
    except HostError as error:
        return None, _refusal(error)


def _refusal(error: HostError | None) -> Refusal | None:
    if error is None:
        return None
    return Refusal(code=error.code, cause=error.cause, status=error.status if isinstance(error, CimError) else 0)


def _as_text(content: bytes | None) -> tuple[str | None, str | None]:
    if content is None:
        return None, None
    try:
        return content.decode(), None
    except UnicodeDecodeError:
        return None, base64.b64encode(content).decode("ascii")


def _cim(answer: CimAnswer, redaction: Redaction) -> CimAnswer:
    # Rules of a firewall have names that tell them apart, and are no names of anybody.
    plain = [
        {name: redaction.value(each, under="" if "InstanceID" in row else name) for name, each in row.items()}
        for row in answer.instances
    ]
    return CimAnswer(
        namespace=answer.namespace,
        class_name=answer.class_name,
        options=answer.options,
        instances=plain,
        refusal=_refused(answer.refusal, redaction),
    )


def _file(answer: FileAnswer, redaction: Redaction) -> FileAnswer:
    return FileAnswer(
        path=answer.path,
        text=None if answer.text is None else _document(answer.text, redaction),
        base64=None if answer.base64 is None else _binary(answer.base64, redaction),
        refusal=_refused(answer.refusal, redaction),
    )


def _binary(content: str, redaction: Redaction) -> str:
    """Take names out of a binary property list; of what cannot be read, nothing goes into a recording."""
    try:
        plain = redaction.value(plistlib.loads(base64.b64decode(content)))
    except (ValueError, plistlib.InvalidFileException, OverflowError, TypeError, IndexError):
        return ""
    return base64.b64encode(plistlib.dumps(plain, fmt=plistlib.FMT_BINARY)).decode()


def _document(text: str, redaction: Redaction) -> str:
    """Take names out of a file: by their properties where it is JSON, as documents of the registry are."""
    try:
        document: Any = json.loads(text)
    except ValueError:
        return redaction.text(text)
    if not isinstance(document, dict | list):
        return redaction.text(text)
    plain = _registry_value(document, redaction)
    return json.dumps(plain, ensure_ascii=False, indent=0) + ("\n" if text.endswith("\n") else "")


def _registry_value(document: Any, redaction: Redaction) -> Any:
    """Redact by names; a value of the registry is one below its name: ``{"Hostname": {"REG_SZ": "…"}}``."""
    if not isinstance(document, dict):
        return redaction.value(document)
    plain: dict[str, Any] = {}
    for name, each in document.items():
        typed = isinstance(each, dict) and len(each) == 1 and next(iter(each)).startswith("REG_")
        plain[redaction.text(name)] = (
            {kind: redaction.value(data, under=name) for kind, data in each.items()}
            if typed
            else _registry_value(each, redaction)
            if isinstance(each, dict)
            else redaction.value(each, under=name)
        )
    return plain


def _program(answer: ProgramAnswer, redaction: Redaction) -> ProgramAnswer:
    return ProgramAnswer(
        command=[redaction.text(word) for word in answer.command],
        stdin=redaction.text(answer.stdin),
        returncode=answer.returncode,
        stdout=_document(answer.stdout, redaction),
        stderr=redaction.text(answer.stderr),
        refusal=_refused(answer.refusal, redaction),
    )


def _refused(refusal: Refusal | None, redaction: Redaction) -> Refusal | None:
    if refusal is None:
        return None
    return Refusal(code=refusal.code, cause=redaction.text(refusal.cause), status=refusal.status)
