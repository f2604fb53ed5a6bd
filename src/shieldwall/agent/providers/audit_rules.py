"""Rules of the kernel's audit system, written as auditctl reads them. Pure; shared by all providers that audit.

Every rule carries a key, so that what one provider loaded can be listed, found in the log and taken out again without
touching a rule of anybody else. A path with white space cannot stand in a rule (auditctl splits lines at it).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

from msgspec import Struct

ARCHITECTURES: Final = ("b64", "b32")
"""Both tables of system calls: a program of the other width must not pass unseen."""

_HEADING: Final = """\
## Written by shieldwall-agent; a change made here is put back.
## What a machine lacks is passed over, so that the rules of others are still loaded.
-c
"""
_UNUSABLE: Final = re.compile(r"[\s\"'\\]")
_PLACE: Final = re.compile(r"(?:^-w |-F (path|dir)=)(\S+)")
_KEY: Final = re.compile(r"(?:-F key=|-k )(\S+)")


class Watch(Struct, frozen=True, kw_only=True):
    """Accesses to a file, or to everything below a directory (a path that ends with ``/``).

    ``access`` holds letters of ``rwxa``: read, written, executed, attributes changed. Accesses by one of the programs
    in ``unless`` are not written down.
    """

    key: str
    path: str
    access: str
    unless: tuple[str, ...] = ()

    def lines(self) -> Iterable[str]:
        """Write the rule; exceptions first, for the first rule that matches decides."""
        kind = "dir" if self.path.endswith("/") else "path"
        what = f"-F {kind}={self.path.rstrip('/') or '/'} -F perm={self.access}"
        for program in self.unless:
            yield f"-a never,exit {what} -F exe={program} -F key={self.key}"
        yield f"-a always,exit {what} -F key={self.key}"


class Unwatched(Struct, frozen=True, kw_only=True):
    """A part of what a watch is about that is not written down."""

    key: str
    path: str
    access: str

    def lines(self) -> Iterable[str]:
        """Write the exception; it has to stand before its watch."""
        kind = "dir" if self.path.endswith("/") else "path"
        yield f"-a never,exit -F {kind}={self.path.rstrip('/') or '/'} -F perm={self.access} -F key={self.key}"


class Unseen(Struct, frozen=True, kw_only=True):
    """Whatever meets one condition, such as ``uid=34`` or ``exe=/usr/bin/backup``, is not written down."""

    key: str
    condition: str

    def lines(self) -> Iterable[str]:
        """Write the exception; it has to stand before the rules that it is about."""
        yield f"-a never,exit -S all -F {self.condition} -F key={self.key}"


class Calls(Struct, frozen=True, kw_only=True):
    """System calls by name, under conditions such as ``auid>=1000``, and between fields, such as ``uid!=euid``."""

    key: str
    names: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()

    def lines(self) -> Iterable[str]:
        """Write one rule for each table of system calls."""
        calls = " ".join(f"-S {name}" for name in self.names)
        conditions = "".join(f" -F {condition}" for condition in self.conditions)
        conditions += "".join(f" -C {comparison}" for comparison in self.compared)
        for architecture in ARCHITECTURES:
            yield f"-a always,exit -F arch={architecture} {calls}{conditions} -F key={self.key}"


AuditRule: TypeAlias = Watch | Unwatched | Unseen | Calls


class Place(Struct, frozen=True):
    """Where rules with a key write something down: a file, or a directory with all that is below it."""

    key: str
    path: str
    is_directory: bool


def is_usable(path: str) -> bool:
    """Say whether a path can stand in a rule."""
    return path.startswith("/") and not _UNUSABLE.search(path)


def rules_file(rules: Iterable[AuditRule]) -> bytes:
    """Write a file for ``/etc/audit/rules.d``. Pure; equal rules give equal bytes."""
    return (_HEADING + "".join(f"{line}\n" for rule in rules for line in rule.lines())).encode()


def places_in(rules: str) -> frozenset[Place]:
    """Return the places of rules, as a file of them or ``auditctl -l`` shows them; exceptions are none."""
    found = []
    for line in rules.split("\n"):
        place, key = _PLACE.search(line), _KEY.search(line)
        if place is not None and key is not None and not line.startswith("-a never"):
            is_directory = place[1] == "dir" or place[2].endswith("/")
            found.append(Place(key=key[1], path=place[2].rstrip("/") or "/", is_directory=is_directory))
    return frozenset(found)


def keys_in(listing: str) -> frozenset[str]:
    """Return the keys of the rules that ``auditctl -l``, or a file of rules, shows."""
    return frozenset(_KEY.findall(listing))
