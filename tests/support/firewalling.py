"""Doing with a provider of the firewall what the engine does: survey, render, write, activate, observe, let go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, Rendered, Surroundings
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.contract.ids import SettingId


@dataclass
class Firewall:
    """The firewall of one host, and what the engine would keep for it."""

    host: Host
    provider: NftablesProvider = field(default_factory=NftablesProvider)
    kept: Kept = field(default_factory=dict)
    surroundings: Surroundings = field(default_factory=Surroundings)

    def files(self) -> Files:
        return {path: self.host.read_file(path) for path in self.provider.files()}

    def rendered(self, desired: Desired) -> Rendered:
        """What enforcing would write."""
        looked = self.provider.survey(self.host, desired, self.surroundings) if desired else {}
        return self.provider.render(self.files(), desired, {**self.kept, **looked})

    def enforce(self, desired: Desired) -> Rendered:
        """Make the settings hold."""
        rendered = self.rendered(desired)
        for path, content in rendered.files.items():
            self.host.write_file(path, content)
        self.kept = rendered.kept
        self.provider.activate(self.host)
        return rendered

    def observed(self, desired: Desired) -> Mapping[SettingId, Observation]:
        """What is seen of the settings."""
        return self.provider.observe(self.host, desired)

    def holds(self, desired: Desired) -> bool:
        """Whether nothing contradicts any of the settings."""
        return all(seen.effective for seen in self.observed(desired).values())

    def let_go(self) -> None:
        """Want nothing any more."""
        self.enforce({})
