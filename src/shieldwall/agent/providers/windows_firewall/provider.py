"""The provider of Windows Firewall: what it manages, and how the registry comes to hold it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.host.cim import Cim, CimError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.windows_machine import WindowsMachine, parsed_version, windows_machine
from shieldwall.agent.providers import registry_values
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, Other, Rendered, Support
from shieldwall.agent.providers.windows_firewall import cutting_off, observing, sourcing, writing
from shieldwall.agent.providers.windows_firewall.places import (
    GROUP_POLICY_STORE,
    MDM_STORE,
    RECORDS,
    RULES,
    RULES_KEY,
    PolicyStore,
    place_of,
    why_nowhere,
)
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId

_SILENT_SECONDS: Final = 60.0
"""Each question starts a program, which may take as long to say nothing."""
_STORE: Final = "store"
_NOTES: Final = "notes"
_NOT_DELIVERED: Final = "This channel does not deliver the setting."
_DOMAIN_CONTROLLER: Final = "Firewall policies are not for domain controllers."


class WindowsFirewallProvider:
    """Keeps profiles and rules in a policy store, and asks Windows what is in effect.

    The firewall's service watches its stores, so nothing has to be told to it; whether it took what stands there is
    what ``observe`` looks at.
    """

    def __init__(
        self,
        catalog: Catalog,
        cim: Cim,
        *,
        store: PolicyStore = MDM_STORE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``store`` is where policy is written to; ``clock`` counts seconds."""
        self._catalog = catalog
        self._cim = cim
        self._store = store
        self._clock = clock
        self._machine: WindowsMachine | None = None
        self._refusal: CimError | None = None
        self._looked = 0.0

    @property
    def name(self) -> str:
        """Word in statuses."""
        return "windowsfirewall"

    def product_version(self, host: Host) -> str | None:
        """Return the version of Windows, of which the firewall is a part."""
        try:
            return self._of(host).written_version or None
        except CimError:
            return None

    def support(self, host: Host, setting: SettingId) -> Support | None:
        """Say whether a setting of the firewall can be enforced on this Windows.

        Raises: CimError: Windows may not be asked, so nothing can be said.
        """
        nowhere = why_nowhere(setting)
        if nowhere is None and setting != RULES and place_of(setting) is None:
            return None
        if self._of(host).is_domain_controller:
            return Support(applicable=False, reason=_DOMAIN_CONTROLLER)
        if nowhere is not None or not self._catalog.definition(setting).supported:
            return Support(applicable=False, reason=nowhere or _NOT_DELIVERED)
        return self._new_enough(host, setting)

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the policy store and our notes beside it."""
        return (self._store.path, RECORDS)

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Write what can be expressed beside everything of others; without any setting, put back what was there.

        Raises: HostError: A part of the registry cannot be read as one.
        """
        before = registry_values.undo(files.get(self._store.path), kept.get(_STORE, {}))
        notes = registry_values.undo(files.get(RECORDS), kept.get(_NOTES, {}))
        wanted = writing.written(self._catalog, self._store, desired)
        content, kept_store = registry_values.apply(before, wanted.store, shared=_by_others_too)
        noted, kept_notes = registry_values.apply(notes, wanted.notes)
        now_kept = {name: each for name, each in ((_STORE, kept_store), (_NOTES, kept_notes)) if each}
        return Rendered(files={self._store.path: content, RECORDS: noted}, kept=now_kept, rejected=wanted.rejected)

    def read(self, files: Files) -> Desired:
        """Read back what we wrote, where it still stands exactly so."""
        return writing.read(self._catalog, self._store, files)

    def activate(self, host: Host) -> None:
        """Do nothing: the firewall's service takes up its stores by itself."""

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:  # noqa: ARG002 - Cim is the host
        """Compare each setting with what is in effect."""
        return observing.observations(self._cim, self._catalog, self._store, desired)

    def evidence(self) -> tuple[PurePosixPath, ...]:
        """Return the stores of others, which are only read."""
        group_policy = () if self._store.path == GROUP_POLICY_STORE.path else (GROUP_POLICY_STORE.path,)
        return (*group_policy, *sourcing.LOCAL.values())

    def local(self, files: Files, kept: Kept) -> Desired:  # noqa: ARG002 - nothing local is ever written over
        """Read what a local administrator set. Raises: HostError: no document."""
        return sourcing.local(self._catalog, files)

    def others(self, files: Files, kept: Kept) -> Mapping[SettingId, Other]:
        """Name the values of Group Policy and of Windows itself. Raises: HostError: no document."""
        content = files.get(GROUP_POLICY_STORE.path)
        if self._store.path == GROUP_POLICY_STORE.path:
            content = registry_values.undo(content, kept.get(_STORE, {}))
        return sourcing.others(self._catalog, content, self.local(files, kept))

    def may_cut_off(self, before: Files, after: Files) -> bool:
        """Say whether a change could keep the device from its server. Pure; in doubt yes."""
        return cutting_off.may_cut_off(self._store, before, after)

    def _of(self, host: Host) -> WindowsMachine:
        """Look at the machine once; where it did not answer, again after a while and not for each setting."""
        now = self._clock()
        if self._machine is None or (not self._machine.version and now - self._looked > _SILENT_SECONDS):
            self._looked = now
            try:
                self._machine, self._refusal = windows_machine(self._cim, host), None
            except CimError as error:
                self._machine, self._refusal = WindowsMachine(), error
        if self._refusal is not None:
            raise self._refusal
        return self._machine

    def _new_enough(self, host: Host, setting: SettingId) -> Support:
        needed = self._catalog.definition(setting).minimum_version
        machine = self._of(host)
        # What is published are versions of clients; a server of the same build has what they have.
        if needed is None or not machine.version or machine.version[:3] >= parsed_version(needed)[:3]:
            return Support(applicable=True)
        reason = f"The setting needs Windows {needed} or later; this is {machine.written_version}."
        return Support(applicable=False, reason=reason)


def _by_others_too(key: str) -> bool:
    """Say which keys others write to as well: all, but rules of our names are ours whatever somebody made of them."""
    return key != RULES_KEY
