"""From records to events: what the kernel says about one system call, put together. Pure but for what is open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct, field

from shieldwall.agent.edr.records import Record, arguments_of
from shieldwall.agent.edr.system_calls import name_of

MOST_OPEN: Final = 512
"""Events that are being put together at once; the oldest is taken as it is when there are more."""
MOST_PATHS: Final = 32
MOST_ARGUMENTS: Final = 256
PATIENCE_SECONDS: Final = 2.0
_UNSET: Final = 4_294_967_295
_SEPARATORS: Final = ("\x01", " ")
_INET, _INET6, _UNIX = 2, 10, 1


class Path(Struct, frozen=True, kw_only=True):
    """A file that an event is about; ``kind`` is NORMAL, CREATE, DELETE, PARENT or UNKNOWN."""

    name: str
    kind: str


class AuditEvent(Struct, frozen=True, kw_only=True):
    """One thing that happened. ``None`` or empty: the records do not say."""

    serial: int
    at: float
    kinds: frozenset[str]
    call: str = ""
    """Name of the system call, where it is one that rules speak of, else its number."""
    success: bool | None = None
    pid: int | None = None
    parent: int | None = None
    uid: int | None = None
    effective_uid: int | None = None
    login_uid: int | None = None
    """Who signed in; ``None`` for what no sign-in led to."""
    program: str = ""
    """``comm``: at most fifteen bytes, and the process chooses it."""
    executable: str = ""
    keys: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    directory: str = ""
    paths: tuple[Path, ...] = ()
    address: str = ""
    port: int | None = None
    target: str = ""
    """Program name of the process that a signal or ptrace was meant for."""
    target_pid: int | None = None
    numbers: tuple[int, ...] = ()
    """The first four arguments of the system call, as numbers."""
    said: Mapping[str, str] = field(default_factory=dict)
    """Fields of records that are about no system call: changes of the audit system itself."""

    @property
    def command(self) -> str:
        """The command line, for people."""
        return " ".join(self.arguments)


class _Open(Struct):
    first: float
    records: list[Record] = field(default_factory=list)


class Assembler:
    """Gathers records until their event is whole: it was said to be, others came long after it, or time went by."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], _Open] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits for more."""
        return not self._open

    def add(self, record: Record, now: float) -> Iterator[AuditEvent]:
        """Take a record; yield the events that are whole by it. ``now`` is monotonic."""
        name = (record.serial, round(record.at * 1000))
        if record.kind == "EOE":
            if (whole := self._open.pop(name, None)) is not None:
                yield make_event(whole.records)
            return
        gathered = self._open.setdefault(name, _Open(now)).records
        if len(gathered) < MOST_PATHS + MOST_ARGUMENTS:
            gathered.append(record)
        if len(self._open) > MOST_OPEN:
            oldest = next(iter(self._open))
            yield make_event(self._open.pop(oldest).records)

    def expired(self, now: float, patience: float = PATIENCE_SECONDS) -> Iterator[AuditEvent]:
        """Yield what has waited long enough: its end was lost, or never comes."""
        for name in [name for name, each in self._open.items() if now - each.first >= patience]:
            yield make_event(self._open.pop(name).records)


def make_event(records: list[Record]) -> AuditEvent:
    """Put the records of one event together. Pure."""
    first = records[0]
    call: Mapping[str, str] = {}
    execve: dict[str, str] = {}
    paths: list[Path] = []
    directory = title = ""
    said: dict[str, str] = {}
    keys: list[str] = []
    address, port = "", None
    target: Mapping[str, str] = {}
    for record in records:
        match record.kind:
            case "SYSCALL":
                call = record.fields
            case "EXECVE":
                execve |= record.fields
            case "PATH" if len(paths) < MOST_PATHS and "name" in record.fields:
                paths.append(Path(name=record.fields["name"], kind=record.fields.get("nametype", "UNKNOWN")))
            case "CWD":
                directory = record.fields.get("cwd", "")
            case "PROCTITLE":
                title = record.fields.get("proctitle", "")
            case "SOCKADDR":
                address, port = address_of(record.fields.get("saddr", ""))
            case "OBJ_PID":
                target = record.fields
            case "PATH":
                continue
            case _:
                said |= record.fields
                keys += _keys(record.fields.get("key", ""))
    keys = [*_keys(call.get("key", "")), *keys]
    arguments = arguments_of(execve)[:MOST_ARGUMENTS] or ((title,) if title else ())
    about = call or said
    return AuditEvent(
        serial=first.serial,
        at=first.at,
        kinds=frozenset(record.kind for record in records),
        call=name_of(call.get("arch", ""), call.get("syscall", "")),
        success=None if "success" not in call else call["success"] == "yes",
        pid=_number(about.get("pid")),
        parent=_number(call.get("ppid")),
        uid=_number(about.get("uid")),
        effective_uid=_number(call.get("euid")),
        login_uid=_user(about.get("auid")),
        program=about.get("comm", ""),
        executable=about.get("exe", ""),
        keys=tuple(dict.fromkeys(keys)),
        arguments=arguments,
        directory=directory,
        paths=tuple(paths),
        address=address,
        port=port,
        target=target.get("ocomm", ""),
        target_pid=_number(target.get("opid")),
        numbers=tuple(_hexadecimal(call.get(f"a{place}", "")) for place in range(4)) if call else (),
        said=said,
    )


def address_of(saddr: str) -> tuple[str, int | None]:
    """Read a socket address as SOCKADDR writes it: an address with its port, the path of a socket, or nothing."""
    try:
        raw = bytes.fromhex(saddr)
    except ValueError:
        return "", None
    family = int.from_bytes(raw[:2], "little")
    if family == _INET and len(raw) >= 8:
        return ".".join(map(str, raw[4:8])), int.from_bytes(raw[2:4], "big")
    if family == _INET6 and len(raw) >= 24:
        groups = (raw[start : start + 2].hex() for start in range(8, 24, 2))
        return ":".join(group.lstrip("0") or "0" for group in groups), int.from_bytes(raw[2:4], "big")
    if family == _UNIX:
        return raw[2:].split(b"\0")[0].decode("utf-8", "backslashreplace"), None
    return "", None


def _keys(text: str) -> list[str]:
    for separator in _SEPARATORS:
        text = text.replace(separator, "\n")
    return [key for key in text.split("\n") if key]


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 20 else None


def _user(text: str | None) -> int | None:
    number = _number(text)
    return None if number == _UNSET else number


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0
