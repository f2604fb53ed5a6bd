"""Names of the system calls that rules speak of, by architecture as audit writes it (linux/audit.h, unistd.h)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_X86_64: Final[Mapping[int, str]] = {
    42: "connect",
    44: "sendto",
    59: "execve",
    62: "kill",
    76: "truncate",
    82: "rename",
    87: "unlink",
    90: "chmod",
    101: "ptrace",
    159: "adjtimex",
    164: "settimeofday",
    165: "mount",
    166: "umount2",
    175: "init_module",
    176: "delete_module",
    227: "clock_settime",
    257: "openat",
    263: "unlinkat",
    264: "renameat",
    268: "fchmodat",
    311: "process_vm_writev",
    313: "finit_module",
    316: "renameat2",
    322: "execveat",
}
_I386: Final[Mapping[int, str]] = {
    10: "unlink",
    11: "execve",
    26: "ptrace",
    37: "kill",
    38: "rename",
    128: "init_module",
    129: "delete_module",
    301: "unlinkat",
    348: "process_vm_writev",
    350: "finit_module",
    358: "execveat",
    362: "connect",
}
_GENERIC: Final[Mapping[int, str]] = {
    35: "unlinkat",
    38: "renameat",
    105: "init_module",
    106: "delete_module",
    117: "ptrace",
    129: "kill",
    203: "connect",
    221: "execve",
    271: "process_vm_writev",
    273: "finit_module",
    276: "renameat2",
    281: "execveat",
}
"""arm64 and riscv64 share one table."""
_BY_ARCHITECTURE: Final[Mapping[str, Mapping[int, str]]] = MappingProxyType(
    {"c000003e": _X86_64, "40000003": _I386, "c00000b7": _GENERIC, "c00000f3": _GENERIC}
)


def name_of(architecture: str, number: str) -> str:
    """Return the name of a system call; where it is not known, what was said."""
    if not number.isdigit():
        return number
    return _BY_ARCHITECTURE.get(architecture, {}).get(int(number), number)
