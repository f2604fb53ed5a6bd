"""What a protected device notices of attempts to undo what is managed, and notes down for the server."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from shieldwall.agent.service.attempts import Attempts
from shieldwall.agent.service.own_files import OwnFiles
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.state_files import MANIFEST
from shieldwall.contract.messages import Manifest, Protection
from shieldwall.contract.status import StatusReport

_REPAIRED: Final = "repaired"


class Guard(Struct, frozen=True, kw_only=True):
    """Notices. Where a device is not protected, it looks all the same, and says nothing."""

    state: AgentState
    attempts: Attempts
    own_files: OwnFiles

    def look(self, manifest: Manifest | None) -> bool:
        """Look at the agent's own files; true when there is something new to tell. Raises: HostError."""
        changed = self.own_files.changed()
        standing = self.state.standing()
        if not self.is_protected(manifest):
            return False
        if manifest is None or manifest.manifest_version < standing.manifest_version:
            changed += (str(self.state.directory / MANIFEST),)
        for path in changed:
            self.attempts.note("agentFileChanged", path)
        return bool(changed)

    def note_restored(self, restored: tuple[str, ...]) -> bool:
        """Note what of our services was put back; true when there was something. Raises: HostError."""
        for what in restored:
            self.attempts.note("agentFileChanged", what)
        return bool(restored)

    def note_repaired(self, protection: Protection, report: StatusReport) -> None:
        """Note every setting that somebody had changed and that was put back. Raises: HostError."""
        if not protection.tamper:
            return
        for status in report.settings:
            if status.code == _REPAIRED:
                self.attempts.note("settingChanged", status.setting)

    def is_protected(self, manifest: Manifest | None) -> bool:
        """Say whether this device is protected; who takes the manifest away does not take protection away with it."""
        return self.state.standing().protected if manifest is None else manifest.protection.tamper
