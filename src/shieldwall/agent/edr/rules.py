"""The rules by which events become findings: data beside this module, each explained, none of it code.

Everything that a rule names has to hold. ``@packages`` and ``@agent`` stand for the programs that install software, and
for this agent's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from fnmatch import translate
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from shieldwall.agent.edr.events import AuditEvent
from shieldwall.contract.events import EventKind, EventSeverity
from shieldwall.contract.kinds import learned

KEY: Final = "shieldwall_edr_"
"""How the keys of our audit rules begin; the name of the pack follows."""
EXECUTION: Final = "execution"
_STARTS: Final = frozenset({"execve", "execveat"})
PACKAGE_MANAGERS: Final = (
    *("/usr/bin/dpkg", "/usr/bin/dpkg-deb", "/usr/bin/dpkg-divert", "/usr/bin/dpkg-statoverride", "/usr/bin/apt"),
    *("/usr/bin/apt-get", "/usr/lib/apt/methods/*", "/usr/bin/rpm", "/usr/bin/dnf*", "/usr/bin/yum", "/usr/bin/zypper"),
    *(
        "/usr/bin/debconf*",
        "/usr/bin/update-alternatives",
        "/usr/bin/ucf",
        "/usr/lib/snapd/snapd",
        "/usr/bin/deb-systemd-*",
    ),
)
AGENT: Final = ("/usr/lib/shieldwall-agent/*",)
_SHORT: Final[Mapping[str, Sequence[str]]] = {"@packages": PACKAGE_MANAGERS, "@agent": AGENT}

Pattern: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
IsOwn: TypeAlias = Callable[[AuditEvent], bool]
"""Says whether something that the agent does itself made an event."""


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What has to hold of an event. A pattern that ends with ``/`` stands for all that is below."""

    keys: tuple[Pattern, ...] = ()
    """Packs of audit rules, one of which wrote the event down."""
    calls: tuple[Pattern, ...] = ()
    success: bool | None = None
    paths: tuple[Pattern, ...] = ()
    path_kinds: tuple[Literal["NORMAL", "CREATE", "DELETE", "PARENT", "UNKNOWN"], ...] = ()
    executables: tuple[Pattern, ...] = ()
    unless_executables: tuple[Pattern, ...] = ()
    targets: tuple[Pattern, ...] = ()
    arguments: str = ""
    """Regular expression, found anywhere in the command line."""
    said: dict[str, tuple[Pattern, ...]] = {}
    signed_in: bool | None = None
    """Whether somebody had signed in."""
    web_server: bool = False
    """Whether it has to be the user of a web server."""
    unless_own: bool = False


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of finding."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z][A-Za-z]{1,39}\Z")]
    kind: EventKind
    severity: EventSeverity
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    explanation: Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]
    """Why somebody should look, and what else it may be."""
    subject: Literal["path", "executable", "command", "target", "module", "operation"]
    """What findings of this rule are told apart by."""
    when: When


class Surroundings(Struct, frozen=True, kw_only=True):
    """What rules have to know of the machine."""

    web_users: Collection[int] = frozenset()
    is_own: IsOwn = lambda _event: False


@cache
def load_rules() -> tuple[Rule, ...]:
    """Read the rules that ship with the agent. Raises: msgspec.ValidationError: they are broken."""
    content = (Path(__file__).parent / "rules.json").read_bytes()  # importlib.resources would cost half a megabyte
    return msgspec.json.decode(content, type=learned(tuple[Rule, ...]))


def matching(rules: Iterable[Rule], event: AuditEvent, around: Surroundings) -> tuple[Rule, ...]:
    """Return the rules that an event meets. Pure but for what ``around`` asks."""
    return tuple(rule for rule in rules if _holds(rule.when, event, around))


def subject_of(rule: Rule, event: AuditEvent) -> str:
    """Say what a finding is about."""
    match rule.subject:
        case "path":
            return next((path for path in _paths(rule.when, event)), event.executable)
        case "command":
            return event.command
        case "target":
            return event.target
        case "module":
            return event.said.get("name", event.executable)
        case "operation":
            return event.said.get("key") or event.said.get("op", "")
        case "executable":
            return event.executable or event.program


def _holds(when: When, event: AuditEvent, around: Surroundings) -> bool:
    return (
        (not when.keys or _written_for(when, event))
        and (not when.calls or event.call in when.calls)
        and (when.success is None or event.success is when.success)
        and (when.signed_in is None or (event.login_uid is not None) is when.signed_in)
        and (not when.web_server or (event.uid in around.web_users and event.login_uid is None))
        and _said(when.said, event.said)
        and (not when.executables or _fits(when.executables, event.executable))
        and not _fits(when.unless_executables, event.executable)
        and (not when.targets or _fits(when.targets, event.target))
        and (not (when.paths or when.path_kinds) or bool(_paths(when, event)))
        and (not when.arguments or _expression(when.arguments).search(event.command[:8_192]) is not None)
        and not (when.unless_own and around.is_own(event))
    )


def _written_for(when: When, event: AuditEvent) -> bool:
    """Tell whether an event is one that the packs are there for, although the kernel names one rule alone for it.

    A watch of a policy, or a rule about becoming root, may have stood before the pack's own rule.
    """
    if any(f"{KEY}{pack}" in event.keys for pack in when.keys):
        return True
    if EXECUTION in when.keys and event.call in _STARTS:
        return any(key.startswith(KEY) for key in event.keys)
    return bool(when.paths) and any(key.startswith(f"{KEY}watch") for key in event.keys)


def _said(wanted: Mapping[str, Sequence[str]], said: Mapping[str, str]) -> bool:
    return all(name in said and _fits(patterns, said[name]) for name, patterns in wanted.items())


def _paths(when: When, event: AuditEvent) -> list[str]:
    """Return the paths of an event that a rule is about, absolute; its file before the directory around it."""
    kinds = when.path_kinds or ("NORMAL", "CREATE", "DELETE", "UNKNOWN")
    named = [_absolute(path.name, event.directory) for path in event.paths if path.kind in kinds]
    return [name for name in named if not when.paths or _fits(when.paths, name)]


def _absolute(name: str, directory: str) -> str:
    if name.startswith("/") or not directory.startswith("/"):
        return name
    parts: list[str] = []
    for part in f"{directory}/{name}".split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


def _fits(patterns: Sequence[str], text: str) -> bool:
    return any(
        _pattern(pattern).match(text) is not None for short in patterns for pattern in _SHORT.get(short, (short,))
    )


@lru_cache(maxsize=1_024)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(f"{pattern}*" if pattern.endswith("/") else pattern))


@lru_cache(maxsize=256)
def _expression(text: str) -> re.Pattern[str]:
    return re.compile(text)
