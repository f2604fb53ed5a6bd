"""Which flags which directories get, as a plan and as the script that carries it out at the next start. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from msgspec import Struct, field

from shieldwall.agent.providers.hardening.rules import DIRECTORIES, Mode, Rules

EXECUTION: Final = "blockExecutionFromWorldWritableDirectories"
SETUID: Final = "blockSetuidOnUserFilesystems"
REMOVABLE: Final = "blockExecutionFromRemovableStorage"

BEFORE: Final = PurePosixPath("/run/shieldwall-mounts")
"""The mounts as they were before we touched any since the last start: lines of mountinfo."""
USER_DIRECTORIES: Final = tuple(map(PurePosixPath, ("/tmp", "/var/tmp", "/dev/shm", "/home")))  # noqa: S108 - subjects
"""Where everybody may write, or users keep their own."""
REMOVABLE_FLAGS: Final = frozenset({"noexec", "nosuid", "nodev"})
SYSTEM_DIRECTORIES: Final = tuple(
    map(PurePosixPath, ("/bin", "/boot", "/efi", "/etc", "/lib", "/nix", "/opt", "/root", "/sbin", "/usr", "/var"))
)
"""A system that was started from a stick goes on."""

_SCRIPT: Final = """\
#!/bin/sh
# Written by shieldwall-agent; a change made here is put back. Does at every start what the agent did when it was told.
[ -e {before} ] || cp /proc/self/mountinfo {before}
# The directory is entered first, and mounted is what was entered: whoever may rename it afterwards changes nothing.
enter() {{
    cd / && cd -P -- "$1" 2>/dev/null && [ "$(pwd -P)" = "$1" ]
}}
hold() {{
    enter "$2" || return 0
    mountpoint -q . || {{
        mount -c --rbind . . && enter "$2" && mountpoint -q . && mount -c --make-rslave . && mount -c --make-rshared .
    }} || return 0
    mount -c -o "remount,bind,$(findmnt -no VFS-OPTIONS --mountpoint "$2" | tail -n 1),$1" none .
}}
"""


class MountPlan(Struct, frozen=True, kw_only=True):
    """Flags by directory, directories below them in which programs still run, and whether sticks are held."""

    flags: Mapping[PurePosixPath, frozenset[str]] = field(default_factory=dict)
    open: tuple[PurePosixPath, ...] = ()
    removable: bool = False
    left_out: tuple[PurePosixPath, ...] = ()
    """Mount points of removable storage that stay as they are."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held."""
        return not self.flags and not self.removable

    def wanted(self, target: PurePosixPath) -> frozenset[str]:
        """Return the flags that a mount at, or below, one of the directories gets."""
        flags = frozenset[str]().union(
            *(flags for directory, flags in self.flags.items() if target.is_relative_to(directory))
        )
        return flags - {"noexec"} if self.is_open(target) else flags

    def is_open(self, target: PurePosixPath) -> bool:
        """Say whether programs may run there by an exclusion."""
        return any(target.is_relative_to(path) for path in self.open)


def directories_of(rules: Rules) -> tuple[PurePosixPath, ...]:
    """Return the directories that the rule on execution is about."""
    return tuple(map(PurePosixPath, rules.texts(DIRECTORIES))) or USER_DIRECTORIES


def plan_of(rules: Rules) -> MountPlan:
    """Work out what is blocked."""
    flags: dict[PurePosixPath, frozenset[str]] = {}
    if rules.mode(EXECUTION) is Mode.BLOCK:
        flags = dict.fromkeys(directories_of(rules), frozenset({"noexec"}))
    open_paths = below(map(PurePosixPath, rules.exclusions(EXECUTION)), flags)
    if rules.mode(SETUID) is Mode.BLOCK:
        flags |= {path: flags.get(path, frozenset[str]()) | {"nosuid", "nodev"} for path in USER_DIRECTORIES}
    return MountPlan(
        flags=flags,
        open=open_paths,
        removable=rules.mode(REMOVABLE) is Mode.BLOCK,
        left_out=tuple(map(PurePosixPath, rules.exclusions(REMOVABLE))),
    )


def below(paths: Iterable[PurePosixPath], directories: Iterable[PurePosixPath]) -> tuple[PurePosixPath, ...]:
    """Return the paths that lie below one of the directories."""
    known = tuple(directories)
    return tuple(sorted({path for path in paths if any(directory in path.parents for directory in known)}))


def script(plan: MountPlan) -> bytes:
    """Write the script for the next start."""
    lines = [f"hold {','.join(sorted(flags))} {shlex.quote(str(path))}\n" for path, flags in sorted(plan.flags.items())]
    lines += [f"hold exec {shlex.quote(str(path))}\n" for path in plan.open]
    return (_SCRIPT.format(before=BEFORE) + "".join(lines)).encode(errors="surrogateescape")


def is_fit(path: str) -> bool:
    """Say whether a path is absolute, in its shortest form and one line."""
    segments = path.split("/")
    has_control = any(character < " " or character == "\x7f" for character in path)
    return path.startswith("/") and not has_control and not any(part in {"", ".", ".."} for part in segments[1:])
