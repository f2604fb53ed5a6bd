"""All looks together: each in bounded time, what could not be seen named with its cause, and nothing changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from shieldwall.agent.applier.own_services import SERVICES
from shieldwall.agent.host.ports import Host
from shieldwall.agent.inspection import (
    antivirus,
    engines,
    exhibits,
    firewall,
    kernel,
    own_files,
    redaction,
    services,
    storage,
)
from shieldwall.agent.inspection.bounded import Bounded, Unseen, attempted
from shieldwall.agent.inspection.model import Engine, Inspection, short
from shieldwall.agent.providers.base import Desired, Provider
from shieldwall.contract.settings import PolicyDocument

_ENGINE: Final = "engine."
_EXHIBITS: Final = "exhibits."
_JOURNALS: Final = (*SERVICES, "shieldwall-broker.service", "shieldwall-sentry.service")


class Held(Struct, frozen=True, kw_only=True):
    """What the engine holds: what is asked of each product by name, and the documents that ask."""

    desired: Mapping[str, Desired]
    documents: Sequence[PolicyDocument] = ()


class Inspector(Struct, frozen=True, kw_only=True):
    """Inspects the machine behind a ``Host``.

    ``providers`` makes providers that nobody else works with, for one that hangs goes on hanging in its thread.
    """

    host: Host
    providers: Callable[[], Sequence[Provider]]
    held: Callable[[], Held]
    bounded: Bounded = field(default_factory=Bounded)

    def __call__(self, *, with_exhibits: bool = False) -> Inspection:
        """Look at everything. Never raises, and ends in time."""
        providers = self.providers()
        held = attempted(self.held)
        asked: Mapping[str, Desired] = {} if isinstance(held, Unseen) else held.desired
        looks: dict[str, Callable[[], Any]] = {
            "onAccess": lambda: antivirus.on_access(self.host),
            "definitions": lambda: antivirus.definitions(self.host),
            "audit": lambda: kernel.audit(self.host),
            "limits": lambda: kernel.limits(self.host),
            "hardware": lambda: kernel.hardware(self.host),
            "places": lambda: storage.places(self.host),
            "quarantine": lambda: storage.put_away(self.host),
            "ownFiles": lambda: own_files.faults(self.host, _managed(providers, asked)),
            "package": lambda: own_files.package(self.host),
            "services": lambda: services.services(self.host),
            "programs": lambda: services.programs(self.host),
            "firewall": lambda: firewall.look(self.host),
        }
        for provider in providers:
            looks[_ENGINE + provider.name] = _engine(self.host, provider, asked.get(provider.name, {}))
        if with_exhibits:
            looks |= self._exhibits(held)
        seen = self.bounded(looks)
        unseen = {name: short(each.cause) for name, each in seen.items() if isinstance(each, Unseen)}
        if isinstance(held, Unseen):
            unseen["held"] = short(held.cause)

        def got(name: str, default: Any = None) -> Any:
            return default if isinstance(seen[name], Unseen) else seen[name]

        return Inspection(
            engines=tuple(
                got(
                    name := _ENGINE + provider.name,
                    Engine(
                        name=provider.name,
                        desired=len(asked.get(provider.name, {})),
                        trouble=unseen.get(name, ""),
                    ),
                )
                for provider in providers
            ),
            on_access=got("onAccess"),
            definitions=got("definitions"),
            audit=got("audit"),
            limits=got("limits", ()),
            places=got("places", ()),
            quarantine=got("quarantine"),
            own_files=got("ownFiles"),
            package=got("package"),
            services=got("services", ()),
            programs=got("programs", ()),
            hardware=got("hardware"),
            firewall=got("firewall"),
            exhibits=exhibits.fitting(
                (name, content)
                for part, found in seen.items()
                if part.startswith(_EXHIBITS) and not isinstance(found, Unseen)
                for name, content in found.items()
            ),
            unseen={name: cause for name, cause in unseen.items() if not name.startswith(_ENGINE)},
        )

    def _exhibits(self, held: Held | Unseen) -> dict[str, Callable[[], Any]]:
        if isinstance(held, Unseen):
            return {}  # then it is not known which values are secret
        known = redaction.secrets_in(msgspec.to_builtins(held.documents))
        return {
            f"{_EXHIBITS}versions": lambda: exhibits.versions(self.host),
            f"{_EXHIBITS}configuration": lambda: exhibits.configuration(self.host, self.providers(), known),
            f"{_EXHIBITS}journals": lambda: exhibits.journals(self.host, _JOURNALS, known),
        }


def _engine(host: Host, provider: Provider, desired: Desired) -> Callable[[], Engine]:
    return lambda: engines.look(host, provider, desired)


def _managed(providers: Sequence[Provider], asked: Mapping[str, Desired]) -> list[Any]:
    """List the files of the products that anything is asked of; values of the kernel are no files to be locked."""
    return [
        path
        for provider in providers
        if asked.get(provider.name)
        for path in provider.files()
        if not str(path).startswith(("/proc/", "/sys/"))
    ]
