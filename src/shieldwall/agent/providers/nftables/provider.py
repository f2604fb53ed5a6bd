"""The nftables provider: what it manages, how its files come about, and how the kernel takes them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, Rendered, Support, Surroundings
from shieldwall.agent.providers.nftables import cutting_off, nft, running
from shieldwall.agent.providers.nftables.asking import asked_for, conflicts
from shieldwall.agent.providers.nftables.checking import Accepted
from shieldwall.agent.providers.nftables.former import as_kept, former_files, remembered
from shieldwall.agent.providers.nftables.live import hits
from shieldwall.agent.providers.nftables.machine import KEPT, machine_in, plain
from shieldwall.agent.providers.nftables.nft import NftablesError
from shieldwall.agent.providers.nftables.observing import observations
from shieldwall.agent.providers.nftables.probing import Probe
from shieldwall.agent.providers.nftables.rights import Rights
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.agent.providers.nftables.script import boot_script_of, read_script, script_of
from shieldwall.agent.providers.nftables.survey import has_systemd, survey
from shieldwall.agent.providers.nftables.units import ALL_FILES, SCRIPT, unit_files
from shieldwall.agent.providers.nftables.zones import LOAD_AT_BOOT, is_of_profile
from shieldwall.contract.ids import SettingId


class NftablesProvider:
    """Keeps the table ``inet shieldwall`` as the firewall policies say."""

    def __init__(self, *, python: str = sys.executable, monotonic: Callable[[], float] = time.monotonic) -> None:
        """``python`` runs the programs that write the logs and send packets; it has to have Shieldwall installed."""
        self._python = python
        self._rights = Rights()
        self._units = running.Units()
        self._probe = Probe(python, monotonic=monotonic)
        self._accepted = Accepted(monotonic=monotonic)

    @property
    def name(self) -> str:
        """Word in statuses."""
        return "nftables"

    def product_version(self, host: Host) -> str | None:
        """Return nft's version when it is there and this process may use it."""
        try:
            return nft.usable_version(host)
        except (NftablesError, HostError):
            return None

    def support(self, host: Host, setting: SettingId) -> Support | None:
        """Claim the firewall's settings where nft can be used, and what needs units where there is systemd.

        Raises:
            HostError: The program did not run to its end. That says nothing about the machine, so it is not an answer.
        """
        if setting != FIREWALL_RULES and not is_of_profile(setting):
            return None
        if (fault := self._rights.fault(host)) is not None:
            return Support(applicable=False, reason=fault)
        if setting.endswith("_networks") and host.find_program("ip") is None:
            return Support(applicable=False, reason="The program ip, which tells addresses, is not installed.")
        if not has_systemd(host):
            if setting == LOAD_AT_BOOT:
                reason = "Without systemd nothing loads rules at boot; they are back once Shieldwall has started."
                return Support(applicable=False, reason=reason)
            if "_enablelog" in setting or setting.endswith(("_lograte", "_logmaxfilesize")):
                return Support(applicable=False, reason="Without systemd nothing runs the program that writes logs.")
        return Support(applicable=True)

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the scripts and units that we own."""
        return ALL_FILES

    def survey(self, host: Host, desired: Desired, surroundings: Surroundings) -> Kept:
        """Look up interfaces, users, units, tables of others and the server. Raises: NftablesError, HostError."""
        return survey(host, desired, surroundings, self._accepted)

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Write the scripts for what can be expressed; without any setting, put back what was there before."""
        before = remembered(kept)
        if not desired:
            return Rendered(files=files if before is None else former_files(before), kept={})
        machine = machine_in(kept)
        asked, rejected = asked_for(desired, machine)
        written = {SCRIPT: script_of(asked)}
        if machine.systemd:
            boot = boot_script_of(asked)
            written |= unit_files(asked.profile, asked.table(), boot_script=boot, python=self._python)
        former = {path: files.get(path) for path in ALL_FILES} if before is None else former_files(before)
        return Rendered(
            files={path: written.get(path, former[path]) for path in ALL_FILES},
            kept={**as_kept(former), KEPT: plain(machine)},
            rejected={**rejected, **conflicts(asked)},
        )

    def read(self, files: Files) -> Desired:
        """Read the settings back from a script that is exactly ours."""
        asked = read_script(files.get(SCRIPT))
        return {} if asked is None else asked.desired

    def activate(self, host: Host) -> None:
        """Load the script in one transaction; when it is not ours (any more), drop our table and nothing else."""
        self._probe.forget()
        self._accepted.forget()
        script = host.read_file(SCRIPT)
        if script is not None and read_script(script) is not None:
            nft.load(host, script)
        else:
            nft.delete_table(host)
        self._units.follow(host)

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        """Compare the table in the kernel with the script, send packets at times, and look at the units."""
        return observations(host, desired, self._probe)

    def may_cut_off(self, before: Files, after: Files) -> bool:
        """Say whether a change could keep the device from its server. Pure; in doubt yes."""
        return cutting_off.may_cut_off(read_script(before.get(SCRIPT)), read_script(after.get(SCRIPT)))

    def monitor(self, host: Host) -> Sequence[str] | None:
        """Return the program that tells of every change of a table."""
        program = host.find_program(nft.PROGRAM)
        return None if program is None else (program, *nft.MONITOR[1:])

    def supervise(self, host: Host, desired: Desired) -> Sequence[str]:
        """Start the program that writes the logs where it is down. Never raises."""
        return running.supervise(host) if desired else ()

    def hits(self, host: Host) -> Mapping[str, int]:
        """Count packets by what decided on them: ids of rules, names of what holds for a zone; nothing without a table.

        Raises: NftablesError, HostError.
        """
        live = nft.live_table(host)
        return {} if live is None else hits(live)

    def local(self, files: Files, kept: Kept) -> Desired:
        """Read the settings that held before management, which is to say those of a script that was there already."""
        before = remembered(kept)
        return self.read(files if before is None else former_files(before))
