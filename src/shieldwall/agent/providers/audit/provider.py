"""The kernel's audit: rules that it holds, and the program that reads what they find."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from shieldwall.agent.edr.web_servers import WEB_USERS
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.in_time import HungError, in_time
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import systemd, whole_files
from shieldwall.agent.providers.audit.kernel import LOCKED, NOT_INSTALLED, Kernel, unavailable
from shieldwall.agent.providers.audit.observing import observe
from shieldwall.agent.providers.audit.packs import Machine
from shieldwall.agent.providers.audit.profile import Profile, Vocabulary
from shieldwall.agent.providers.audit.rejecting import sorted_out
from shieldwall.agent.providers.audit.rendering import (
    LOCK,
    MEMORY,
    READER,
    READER_UNIT,
    READER_WANTED,
    RULES,
    contents,
    pack_keys,
)
from shieldwall.agent.providers.audit.surveying import PASSWD, survey
from shieldwall.agent.providers.audit_loading import AuditRefusedError, lost
from shieldwall.agent.providers.audit_rules import keys_in
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, Rendered, Support, Surroundings
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId

_OTHER_ROOT: Final = "Engine unavailable: the kernel's audit is that of the whole machine; a root of its own has none."
_MACHINE: Final = "machine"
_HOME_SECONDS: Final = 1.0
MOST_LOADS, LOOKS_BETWEEN, LOOKS_REMEMBERED = 3, 10, 60
"""After so many times within an hour, rules that are gone are loaded again every ten minutes only: no fights."""
_FILES: Final = (MEMORY, RULES, LOCK, READER_UNIT, READER_WANTED)


class AuditProvider:
    """Owns files of rules, and the unit of what reads."""

    def __init__(self, catalog: Catalog, *, python: str = sys.executable) -> None:
        """``python`` runs the program that reads."""
        self._words = Vocabulary.of(catalog)
        self._python = python
        self._told: tuple[bytes | None, bytes | None] | None = None
        """The unit's files as systemd was told of them last: a reload costs the whole machine."""
        self._hopeless: frozenset[str] = frozenset()
        """Keys of packs, and places, of which this machine takes no rule: they are not loaded again every minute."""
        self._looks = 0
        self._loads: list[int] = []
        """At which looks, which are a minute apart, rules were loaded again."""

    @property
    def name(self) -> str:
        """Word in statuses."""
        return "audit"

    def product_version(self, host: Host) -> str | None:
        """Return who takes events from the kernel; ``None`` when nothing can be audited."""
        kernel = Kernel.of(host)
        if kernel is None:
            return None
        try:
            owner = kernel.status().get("pid", "0")
        except (AuditRefusedError, HostError):
            return "unavailable"
        if owner == "0":
            return "kernel"
        comm = host.read_file(PurePosixPath(f"/proc/{owner}/comm"))
        return (comm or b"somebody").decode(errors="replace").strip()[:64]

    def support(self, host: Host, setting: SettingId) -> Support | None:
        """Claim the audit profile, and what of the antivirus profile is about behavior."""
        if self._words.place(setting) is None:
            return None
        if str(host.root) != "/":
            return Support(applicable=False, reason=_OTHER_ROOT)
        if (why := unavailable(host)) is not None:
            return Support(applicable=False, reason=why)
        return Support(applicable=True)

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the memory, the rules, and the unit of what reads."""
        return _FILES

    def survey(self, host: Host, desired: Desired, surroundings: Surroundings) -> Kept:
        """Look for homes with keys, users of web servers, and users that policies name. Raises: HostError."""
        del surroundings
        return {_MACHINE: survey(host.read_file(PASSWD), self._words.profile(desired), has_keys(host), WEB_USERS)}

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Compute the files that hold ``desired``. Pure."""
        found = {path: files.get(path) for path in _FILES}
        was_managed = bool(self._words.remembered(files.get(MEMORY)))
        machine: Mapping[str, Any] = kept.get(_MACHINE, {})
        if not desired:
            before, keep = whole_files.render(
                found, dict.fromkeys(_FILES), kept, managed=False, was_managed=was_managed
            )
            return Rendered(files=before, kept=keep)
        accepted, rejected = sorted_out(self._words, desired, machine.get("users"))
        about = Machine(homes=tuple(machine.get("homes", ())), web_users=tuple(machine.get("webUsers", ())))
        own = contents(self._words.profile(accepted), about, machine.get("users") or {}, self._python)
        wanted = {**own, MEMORY: self._words.remember(accepted, own)}
        held, keep = whole_files.render(found, wanted, kept, managed=True, was_managed=was_managed)
        keep |= {_MACHINE: machine} if machine else {}
        return Rendered(files=held, kept=keep, rejected=rejected)

    def read(self, files: Files) -> Desired:
        """Read the settings that the memory names, if the other files are as they were written. Pure."""
        return self._words.held(files.get(MEMORY), files)

    def activate(self, host: Host) -> None:
        """Load the rules, or take them out, and start or end what reads. Raises: ProviderError, HostError."""
        kernel, wanted = Kernel.of(host), host.read_file(RULES) is not None
        if kernel is None and wanted:
            raise AuditRefusedError(NOT_INSTALLED)
        if kernel is not None and (wanted or kernel.our_keys()) and kernel.status()["enabled"] != LOCKED:
            self._hopeless = frozenset()
            if wanted:
                kernel.load(RULES, lock=host.read_file(LOCK) is not None)
            else:
                kernel.let_go()
        self._run_reader(host)

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        """Ask the kernel about each setting."""
        try:
            profile = self._words.profile(self._words.remembered(host.read_file(MEMORY)))
        except HostError as error:
            return dict.fromkeys(desired, Observation(effective=None, code=error.code, reason=error.cause[:512]))
        places = {setting: self._words.place(setting) or "" for setting in desired}
        seen = observe(host, profile, dict.fromkeys(places.values()))
        return {setting: seen[place] for setting, place in places.items()}

    def supervise(self, host: Host, desired: Desired) -> Sequence[str]:
        """Load rules again that somebody took out, switch audit on again, start again what reads. Never raises."""
        try:
            return self._looked_after(host) if desired else ()
        except (HostError, AuditRefusedError) as error:
            return (error.cause,)

    def _looked_after(self, host: Host) -> Sequence[str]:
        kernel = Kernel.of(host)
        profile = self._words.profile(self._words.remembered(host.read_file(MEMORY)))
        if kernel is None or not profile.audits or host.read_file(RULES) is None:
            return ()
        done: list[str] = []
        enabled = kernel.status()["enabled"]
        missing = _missing(host, kernel, profile)
        self._looks += 1
        is_wrong = enabled == "0" or bool(missing - self._hopeless)
        if is_wrong and enabled != LOCKED and self._may_load_again(done):
            kernel.load(RULES, lock=host.read_file(LOCK) is not None)
            self._hopeless = still = _missing(host, kernel, profile)
            if enabled == "0":
                done.append("Auditing had been switched off, and is on again.")
            if missing - still:
                done.append("Audit rules were gone from the kernel, and are loaded again.")
        if systemd.runs(host) and systemd.show(host, READER, "ActiveState").get("ActiveState") != "active":
            systemd.call(host, "restart", READER, tolerate=True)
            done.append(f"{READER} was down, and was started again.")
        return done

    def _may_load_again(self, done: list[str]) -> bool:
        """Count how often rules are loaded again, and do so less often where somebody else takes them out each time."""
        self._loads = [look for look in self._loads if self._looks - look < LOOKS_REMEMBERED]
        if len(self._loads) >= MOST_LOADS and self._looks - self._loads[-1] < LOOKS_BETWEEN:
            done.append("Something takes audit rules out again and again; they are loaded less often.")
            return False
        self._loads.append(self._looks)
        return True

    def _run_reader(self, host: Host) -> None:
        if not systemd.runs(host):
            return
        unit = host.read_file(READER_UNIT), host.read_file(READER_WANTED)
        if unit == (None, None) and self._told is None:
            self._told = unit
            if systemd.show(host, READER, "ActiveState").get("ActiveState") not in {"active", "activating"}:
                return
        if unit[0] is None:
            systemd.stop(host, READER)
        if unit != self._told:
            systemd.reload(host)
            self._told = unit
        if unit[0] is not None:
            systemd.call(host, "restart", READER)


def _missing(host: Host, kernel: Kernel, profile: Profile) -> frozenset[str]:
    """Return the keys of packs of which the kernel holds no rule, and the places that are there and not watched."""
    held = "\n".join(kernel.listing())
    places = (path for gone in lost(host, host.read_file(RULES), held).values() for path in gone)
    return frozenset(pack_keys(profile).values()) - keys_in(held) | frozenset(places)


def has_keys(host: Host) -> Any:
    """Return what says whether a home directory has a directory for keys of SSH."""

    def look(home: str) -> bool:
        place = host.locate(PurePosixPath(home) / ".ssh")
        try:
            return in_time(str(place), place.is_dir, seconds=_HOME_SECONDS)
        except HungError:
            return False  # whoever has mounted something there that does not answer has no keys there either

    return look
