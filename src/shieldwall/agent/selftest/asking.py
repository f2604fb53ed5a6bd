"""The self-test: everything that providers ask of a machine, asked once; where wished, one write and its return."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final, Protocol, runtime_checkable

from msgspec import Struct, field

from shieldwall import __version__
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.looking import Looking
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.windows.join import Join
from shieldwall.agent.providers.base import Provider
from shieldwall.catalog.model import Catalog
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts

_NO_TENANT: Final = TenantId("00000000-0000-4000-8000-000000000000")
TRIAL: Final[Mapping[str, PurePosixPath]] = {
    "windows10": PurePosixPath("/registry/HKLM/SOFTWARE/Shieldwall/SelfTest"),
    "macOS": PurePosixPath("/Library/Preferences/com.shieldwall.selftest.plist"),
    "linux": PurePosixPath("/var/lib/shieldwall-applier/selftest"),
}
"""What is written and taken back: read by nobody but us."""
_TRIED: Final[Mapping[str, bytes]] = {
    "windows10": b'{\n"": {\n"Trial": {\n"REG_DWORD": 1\n}\n}\n}\n',
    "macOS": b"<plist version='1.0'><dict/></plist>\n",
    "linux": b"trial\n",
}


@runtime_checkable
class TellsJoin(Protocol):
    """What the look at a platform offers whose machines are joined to directories."""

    def join(self) -> Join:
        """Say how this one is."""
        ...


class Asked(Struct, frozen=True, kw_only=True):
    """One provider: its product, what it takes here, why it does not take the rest, what went wrong."""

    provider: str
    version: str | None
    supported: tuple[str, ...]
    refused: Mapping[str, str]
    readable: int
    trouble: tuple[str, ...]

    @property
    def reasons(self) -> Mapping[str, int]:
        """How often each reason was given."""
        return Counter(self.refused.values())


class Result(Struct, frozen=True, kw_only=True):
    """What came of the self-test."""

    facts: DeviceFacts
    managed_elsewhere: str | None
    unsuitable: str | None
    providers: tuple[Asked, ...]
    join: str | None = None
    """How the machine is joined to a directory, where its platform tells."""
    trial: str | None = None
    """What went wrong with the write; empty when it came back as written and went as it came; ``None`` untried."""

    @property
    def is_good(self) -> bool:
        """Whether nothing went wrong."""
        return not self.trial and not any(asked.trouble for asked in self.providers)


class SelfTest(Struct, frozen=True, kw_only=True):
    """Asks a machine."""

    host: Host
    looking: Looking
    providers: Sequence[Provider]
    catalog: Catalog
    trouble: list[str] = field(default_factory=list)

    def __call__(self) -> Result:
        """Ask everything; changes nothing."""
        versions = {provider.name: self._version(provider) for provider in self.providers}
        found = self.looking.survey()
        facts = self.looking.facts(
            agent_version=__version__,
            catalog_version=self.catalog.version,
            providers={name: version for name, version in versions.items() if version is not None},
        )
        self.looking.hardware(_NO_TENANT)
        return Result(
            facts=found.upon(facts),
            managed_elsewhere=found.managed_elsewhere,
            unsuitable=found.unsuitable,
            join=self.looking.join().kind if isinstance(self.looking, TellsJoin) else None,
            providers=tuple(self._asked(provider, versions[provider.name]) for provider in self.providers),
        )

    def _version(self, provider: Provider) -> str | None:
        try:
            return provider.product_version(self.host)
        except ShieldwallError as error:
            return error.code

    def _asked(self, provider: Provider, version: str | None) -> Asked:
        supported: list[str] = []
        refused: dict[str, str] = {}
        trouble: list[str] = []
        for setting in self.catalog.definitions:
            try:
                answer = provider.support(self.host, setting)
            except ShieldwallError as error:
                refused[setting] = error.cause
                trouble.append(f"{setting}: {error.code}")
                continue
            if answer is not None and answer.applicable:
                supported.append(setting)
            elif answer is not None:
                refused[setting] = answer.reason
        readable = 0
        try:
            files = {path: self.host.read_file(path) for path in provider.files()}
            local = provider.read(files)
            readable = len(local)
            if version is not None:
                mine = {setting: value for setting, value in local.items() if setting in set(supported)}
                provider.observe(self.host, mine)
        except ShieldwallError as error:
            trouble.append(f"{error.code}: {error.cause}")
        return Asked(
            provider=provider.name,
            version=version,
            supported=tuple(supported),
            refused=refused,
            readable=readable,
            trouble=tuple(trouble),
        )


def tried(host: Host, platform: str) -> str:
    """Write what nobody reads, read it back, take it away. Returns what went wrong, or nothing."""
    path, content = TRIAL[platform], _TRIED[platform]
    try:
        before = host.read_file(path)
        host.write_file(path, content, mode=0o600)
        back = host.read_file(path)
        host.write_file(path, before)
        after = host.read_file(path)
    except HostError as error:
        return error.cause
    if back != content:
        return f"{path} reads back differently."
    return "" if after == before else f"{path} did not go back."
