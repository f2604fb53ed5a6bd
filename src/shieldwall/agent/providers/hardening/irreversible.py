"""What the kernel does not take back before a restart: said once, and never held as a file that could be given back."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from shieldwall.agent.host.kernel_files import KernelValueError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Observation

UNTIL_RESTART: Final = "untilRestart"
"""Code: it holds until the next restart, whatever a policy says."""


class Lock(Struct, frozen=True, kw_only=True):
    """A value of the kernel that goes one way."""

    path: PurePosixPath
    value: bytes
    locked: frozenset[str]
    """Values that are as strong; of lockdown the chosen word stands in brackets."""
    unavailable: str
    """Why there is nothing to be locked where the value is missing."""

    def is_locked(self, content: bytes | None) -> bool:
        """Say whether the kernel shows it locked."""
        text = (content or b"").decode(errors="replace").strip()
        chosen = text.partition("[")[2].partition("]")[0] or text
        return chosen in self.locked


PTRACE: Final = Lock(
    path=PurePosixPath("/proc/sys/kernel/yama/ptrace_scope"),
    value=b"3\n",
    locked=frozenset({"3"}),
    unavailable="This kernel has no Yama, so ptrace cannot be restricted.",
)
MODULES: Final = Lock(
    path=PurePosixPath("/proc/sys/kernel/modules_disabled"),
    value=b"1\n",
    locked=frozenset({"1"}),
    unavailable="This kernel loads no modules.",
)
LOCKS: Final[Mapping[str, Lock]] = MappingProxyType(
    {
        "blockKexec": Lock(
            path=PurePosixPath("/proc/sys/kernel/kexec_load_disabled"),
            value=b"1\n",
            locked=frozenset({"1"}),
            unavailable="This kernel was built without kexec.",
        ),
        "enforceKernelLockdown": Lock(
            path=PurePosixPath("/sys/kernel/security/lockdown"),
            value=b"integrity",
            locked=frozenset({"integrity", "confidentiality"}),
            unavailable="This kernel has no lockdown, or securityfs is not mounted.",
        ),
    }
)
"""The rules that are nothing but a lock."""


def lock(host: Host, what: Lock) -> None:
    """Lock it, unless it is. What the kernel refuses is seen by ``observe``: it is no reason to undo other rules.

    Raises:
        HostError: The value cannot be read.
    """
    content = host.read_file(what.path)
    if content is not None and not what.is_locked(content):
        with contextlib.suppress(KernelValueError):
            host.write_file(what.path, what.value)


def observe(host: Host, what: Lock) -> Observation:
    """Say whether it is locked. Raises: HostError."""
    if what.is_locked(host.read_file(what.path)):
        reason = "The kernel does not take it back: it holds until the next restart."
        return Observation(effective=True, code=UNTIL_RESTART, reason=reason)
    return Observation(effective=False, code="notLocked", reason=f"{what.path} is not locked.")
