"""The kernel's audit as auditctl shows and changes it. Rules of others are never touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

import msgspec
from msgspec import Struct

from shieldwall.agent.edr.rules import KEY
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.audit_loading import AuditRefusedError, listing, refuse_left, take_out
from shieldwall.agent.providers.audit_rules import keys_in
from shieldwall.contract.kinds import learned

BEFORE: Final = PurePosixPath("/var/lib/shieldwall-applier/audit-before.json")
"""What the kernel kept before our rules came: given back when they go."""
NOT_INSTALLED: Final = "Engine unavailable: auditing needs auditctl of the package auditd, which is not on this device."
LOCKED: Final = "2"
_GIVEN_BACK: Final = {
    "backlog_limit": "-b",
    "backlog_wait_time": "--backlog_wait_time",
    "rate_limit": "-r",
    "failure": "-f",
}


class Kernel(Struct, frozen=True, kw_only=True):
    """Asks and tells by auditctl."""

    host: Host
    auditctl: str

    @classmethod
    def of(cls, host: Host) -> Kernel | None:
        """Return the way to the kernel, ``None`` where there is no auditctl."""
        auditctl = host.find_program("auditctl")
        return None if auditctl is None else cls(host=host, auditctl=auditctl)

    def status(self) -> Mapping[str, str]:
        """Return what ``auditctl -s`` shows. Raises: AuditRefusedError, HostError."""
        done = self.host.run([self.auditctl, "-s"])
        found = {}
        for line in done.stdout.decode(errors="replace").splitlines():
            name, _, value = line.partition(" ")
            found[name] = value.strip()
        if done.returncode != 0 or "enabled" not in found:
            said = " ".join(done.stderr.decode(errors="replace").split())[:200] or "it shows nothing"
            raise AuditRefusedError(f"The kernel lets nobody here use its audit: {said}.")
        return found

    def listing(self) -> Sequence[str]:
        """Return the rules that the kernel holds. Raises: HostError."""
        return [line for line in listing(self.host, self.auditctl).split("\n") if line.startswith("-")]

    def our_keys(self) -> frozenset[str]:
        """Return the keys of our rules that the kernel holds. Raises: HostError."""
        return frozenset(key for key in keys_in(listing(self.host, self.auditctl)) if key.startswith(KEY))

    def load(self, rules: PurePosixPath, *, lock: bool) -> None:
        """Make the kernel hold the rules of a file in the place of all of ours, and write down what they find.

        What this machine lacks is passed over.

        Raises:
            AuditRefusedError: Rules of before stay, or it is not switched on.
            HostError: auditctl did not run to its end.
        """
        self._remember()
        refuse_left(self._remove())
        self._tell("-R", str(self.host.locate(rules)))
        if self.status()["enabled"] == "0" and not self._tell("-e", "1"):
            raise AuditRefusedError("Auditing cannot be switched on.")
        if lock:
            self._tell("-e", LOCKED)

    def let_go(self) -> None:
        """Take our rules out, and give back what was kept before them.

        Raises:
            AuditRefusedError: some rules stay; nothing is given back yet.
            HostError: auditctl did not run to its end.
        """
        refuse_left(self._remove())
        content = self.host.read_file(BEFORE)
        if content is None:
            return
        before = _read(content)
        for name, option in _GIVEN_BACK.items():
            if name in before:
                self._tell(option, before[name])
        if before.get("enabled") == "0" and self.status().get("pid", "0") == "0":
            self._tell("-e", "0")
        self.host.write_file(BEFORE, None)

    def _remember(self) -> None:
        if self.host.read_file(BEFORE) is None:
            kept = {name: value for name, value in self.status().items() if name in {*_GIVEN_BACK, "enabled"}}
            self.host.write_file(BEFORE, msgspec.json.encode(kept), mode=0o600)

    def _remove(self) -> frozenset[str]:
        return take_out(self.host, self.auditctl, lambda key: key.startswith(KEY))

    def _tell(self, *words: str) -> bool:
        return self.host.run([self.auditctl, *words]).returncode == 0


def unavailable(host: Host) -> str | None:
    """Say why nothing can be audited here; ``None`` when it can."""
    kernel = Kernel.of(host)
    if kernel is None:
        return NOT_INSTALLED
    try:
        kernel.status()
    except (AuditRefusedError, HostError) as error:
        return f"Engine unavailable: {error.cause}"
    return None


def _read(content: bytes) -> Mapping[str, str]:
    try:
        return msgspec.json.decode(content, type=learned(dict[str, str]))
    except msgspec.DecodeError:  # a crash while it was written: nothing is given back but the rules
        return {}
