"""Values of the kernel by which rules are enforced, and which of two values is the stronger. Pure.

Sources: Documentation/admin-guide/sysctl/{fs,kernel,net,vm,user}.rst and Documentation/networking/ip-sysctl.rst of
Linux, and the manual pages proc(5), core(5) and sysctl.d(5).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from shieldwall.agent.providers.base import Files

_SYSCTL: Final = PurePosixPath("/proc/sys")


class Knob(Struct, frozen=True, kw_only=True):
    """One value below ``/proc/sys`` and what a rule wants of it."""

    name: str
    """Path below ``/proc/sys``."""
    value: str
    more_is_stronger: bool = False
    """Whether a greater number than ours is at least as strong, and is left as it is."""
    locked: frozenset[str] = frozenset()
    """Values that the kernel does not take back before a restart; all of them are as strong as ours."""
    optional: bool = False
    """Whether the rule means something without it."""

    @property
    def path(self) -> PurePosixPath:
        """Where the value is."""
        return _below(self.name)

    @property
    def key(self) -> str:
        """The name as sysctl.d(5) and people write it."""
        return self.name.replace("/", ".")

    def is_enough(self, found: str) -> bool:
        """Say whether a value is at least as strong as ours."""
        if found == self.value or found in self.locked:
            return True
        return self.more_is_stronger and _number(found) is not None and int(found) > int(self.value)

    def stronger(self, found: str) -> str:
        """Return the stronger of a value found and ours: a rule never weakens what somebody chose."""
        return found if self.is_enough(found) else self.value


CORE_PATTERN: Final = "|/bin/false"
"""A program that reads no dump: unlike a limit on its size, which the kernel passes over for programs."""

_REDIRECTS: Final = ("accept_redirects", "secure_redirects", "send_redirects")
_IPV6_REDIRECTS: Final = ("accept_redirects",)
_SOURCE: Final = ("accept_source_route",)

KNOBS: Final[Mapping[str, tuple[Knob, ...]]] = MappingProxyType(
    {
        "protectLinks": (
            Knob(name="fs/protected_symlinks", value="1"),
            Knob(name="fs/protected_hardlinks", value="1"),
            Knob(name="fs/protected_fifos", value="2"),
            Knob(name="fs/protected_regular", value="2"),
        ),
        "blockSetuidDumps": (Knob(name="fs/suid_dumpable", value="0"),),
        "blockCoreDumps": (Knob(name="kernel/core_pattern", value=CORE_PATTERN),),
        "blockTerminalInjection": (
            Knob(name="dev/tty/legacy_tiocsti", value="0"),
            Knob(name="dev/tty/ldisc_autoload", value="0", optional=True),
        ),
        "blockUnprivilegedBpf": (
            Knob(name="kernel/unprivileged_bpf_disabled", value="2", locked=frozenset({"1"})),
            Knob(name="net/core/bpf_jit_harden", value="2", optional=True),
        ),
        "blockUserfaultfd": (Knob(name="vm/unprivileged_userfaultfd", value="0"),),
        "blockIoUring": (Knob(name="kernel/io_uring_disabled", value="2"),),
        # 3 is the patch of Debian and Android that keeps users out altogether; elsewhere it works like 2.
        "restrictPerformanceEvents": (Knob(name="kernel/perf_event_paranoid", value="3", more_is_stronger=True),),
        "restrictKernelPointers": (Knob(name="kernel/kptr_restrict", value="2"),),
        "restrictKernelLog": (Knob(name="kernel/dmesg_restrict", value="1"),),
        "enforceAddressSpaceRandomization": (Knob(name="kernel/randomize_va_space", value="2"),),
        "blockMagicSysrq": (Knob(name="kernel/sysrq", value="0"),),
        "blockIcmpRedirects": tuple(
            Knob(name=f"net/{family}/conf/{where}/{word}", value="0", optional=family == "ipv6")
            for family, words in (("ipv4", _REDIRECTS), ("ipv6", _IPV6_REDIRECTS))
            for where in ("all", "default")
            for word in words
        ),
        "blockSourceRouting": tuple(
            Knob(name=f"net/{family}/conf/{where}/{word}", value="0", optional=family == "ipv6")
            for family, words in (("ipv4", _SOURCE), ("ipv6", _SOURCE))
            for where in ("all", "default")
            for word in words
        ),
    }
)
"""The values of each rule whose values do not depend on anything."""

_PTRACE: Final = "kernel/yama/ptrace_scope"
_NAMESPACES: Final = (
    # The switches of Debian's and Ubuntu's kernels leave root its namespaces; the general limit does not.
    Knob(name="kernel/unprivileged_userns_clone", value="0"),
    Knob(name="kernel/apparmor_restrict_unprivileged_userns", value="1"),
    Knob(name="user/max_user_namespaces", value="0"),
)
INTERFACE_KEYS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "blockIcmpRedirects": (
            *(f"net/ipv4/conf/*/{word}" for word in _REDIRECTS),
            *(f"net/ipv6/conf/*/{word}" for word in _IPV6_REDIRECTS),
        ),
        "blockSourceRouting": (*(f"net/{family}/conf/*/{word}" for family in ("ipv4", "ipv6") for word in _SOURCE),),
    }
)
"""What is 0 for every interface of its own: ``all`` does not reach those that are there already."""

KNOB_RULES: Final = frozenset({*KNOBS, "restrictPtrace", "blockUnprivilegedUserNamespaces"})
"""The rules that are enforced by values which can be taken back."""


def knobs_of(rule: str, files: Files, *, ptrace_scope: int = 1) -> tuple[Knob, ...]:
    """Return the values that enforce a rule on this kernel; of alternatives the first that it has."""
    if rule == "restrictPtrace":
        # Scope 3 cannot be taken back, so it is no value to be held: 2 is, and the last step is taken beside.
        return (Knob(name=_PTRACE, value=str(min(ptrace_scope, 2)), more_is_stronger=True, locked=frozenset({"3"})),)
    if rule == "blockUnprivilegedUserNamespaces":
        return next(((knob,) for knob in _NAMESPACES if files.get(knob.path) is not None), _NAMESPACES[-1:])
    return KNOBS[rule]


@functools.cache  # asked for every rule of every look for drift
def _below(name: str) -> PurePosixPath:
    return _SYSCTL / name


@functools.cache
def value_paths() -> tuple[PurePosixPath, ...]:
    """Return every value that is ever held."""
    knobs = [*(knob for knobs in KNOBS.values() for knob in knobs), *_NAMESPACES]
    return tuple(dict.fromkeys((*(knob.path for knob in knobs), _SYSCTL / _PTRACE)))


def locked_paths(files: Files) -> frozenset[PurePosixPath]:
    """Return the values that the kernel does not change any more before a restart."""
    knobs = [knob for rule in KNOB_RULES for knob in knobs_of(rule, files)]
    return frozenset(knob.path for knob in knobs if shown_value(files.get(knob.path)) in knob.locked)


def shown_value(content: bytes | None) -> str | None:
    """Return a value as the kernel shows it, without its line end."""
    return None if content is None else content.decode(errors="replace").strip()


def _number(text: str) -> int | None:
    return int(text) if text.removeprefix("-").isdecimal() and text.isascii() else None
