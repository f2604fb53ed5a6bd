"""Modules of the kernel that rules keep out, and the lines of modprobe.d(5) that do it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from shieldwall.agent.providers.hardening.rules import Mode, Rules

LOCKED: Final = "blockModuleLoading"
LISTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "blockRareModules": ("dccp", "sctp", "rds", "tipc", "ax25", "netrom", "x25", "atm"),
        "blockRareFilesystems": ("cramfs", "freevxfs", "hfs", "hfsplus", "jffs2", "minix", "udf"),
        "blockUsbStorage": ("usb_storage", "uas"),
        "blockDirectMemoryAccess": ("firewire_core", "firewire_ohci", "firewire_sbp2", "thunderbolt"),
    }
)
"""The modules of each rule, with underscores, as the kernel lists them."""
REFUSED: Final = "/bin/false"
"""What is run instead of loading. A blacklist alone keeps out what loads by itself, not what somebody asks for."""

_HEADING: Final = "# Written by shieldwall-agent; a change made here is put back.\n"


def modules_of(rule: str, rules: Rules) -> tuple[str, ...]:
    """Return the modules that a rule is about, without those it leaves out."""
    left_out = {normal(name) for name in rules.exclusions(rule)}
    return tuple(name for name in LISTS[rule] if name not in left_out)


def normal(name: str) -> str:
    """Write a module's name as the kernel lists it."""
    return name.replace("-", "_")


def configuration(rules: Rules) -> bytes | None:
    """Write the file for modprobe.d; ``None`` when there is nothing to write."""
    lines: list[str] = []
    for rule in sorted(LISTS):
        mode = rules.mode(rule)
        if mode is not Mode.OFF:
            lines.append(f"# {rule}: {mode}")
            lines += _lines(rule, modules_of(rule, rules), mode)
    return (_HEADING + "".join(f"{line}\n" for line in lines)).encode() if lines else None


def loaded(listing: bytes | None) -> frozenset[str]:
    """Read ``/proc/modules``."""
    return frozenset(line.split(" ")[0] for line in (listing or b"").decode(errors="replace").splitlines())


def _lines(rule: str, modules: Iterable[str], mode: Mode) -> Iterable[str]:
    for name in modules:
        if mode is Mode.BLOCK:
            yield f"install {name} {REFUSED}"
            yield f"blacklist {name}"
        else:
            said = f"/usr/bin/logger -t shieldwall -p authpriv.warning 'audit {rule}: the module {name} is loaded'"
            yield f"install {name} {said}; /sbin/modprobe --ignore-install {name} $CMDLINE_OPTS"
