"""What the table has to know of the machine it is for, looked up before it is rendered and kept with it. Pure."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from shieldwall.agent.providers.base import Kept
from shieldwall.agent.providers.nftables.intervals import Family
from shieldwall.contract.kinds import learned

KEPT: Final = "machine"
"""Where it stands in what the provider keeps."""

InterfaceName: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.@:+-]{1,15}\Z")]


class Service(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the sockets of a unit of systemd are found."""

    path: str
    """Its control group, from the root of cgroup2, without a leading slash."""
    inode: int
    """Another one after each start: the kernel's rule holds the group by it, not by its path."""


class ForeignTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of somebody else whose rules decide on the same packets."""

    family: str
    name: str
    manager: str
    """Who probably made it, in a few words."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A port of the management server; with an address where it is known without asking anybody."""

    port: int
    family: Family | None = None
    address: str | None = None

    @property
    def number(self) -> int:
        """The address as a number. Raises: ValueError where it is not known."""
        return int(ip_address(self.address or ""))


class Machine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The machine as far as the table needs it. Without a survey nothing is known, and nothing is assumed."""

    zones: dict[str, tuple[InterfaceName, ...]] = {}
    """Interfaces that are in a zone by their own address."""
    kinds: dict[str, tuple[InterfaceName, ...]] = {}
    """Interfaces of each kind that a rule speaks of."""
    users: dict[str, int] = {}
    """Numbers of the users that rules name."""
    services: dict[str, Service] = {}
    """Control groups of the units that rules name and that run."""
    refused: dict[str, str] = {}
    """Rules that nft does not take on this machine, by id, with its words."""
    lacking: tuple[str, ...] = ()
    """Features of the kernel's firewall that are not there: ``fib``, ``log``, ``dynset``, ``reject``."""
    helpers: tuple[str, ...] = ()
    """Connection tracking helpers that the kernel has."""
    foreign: tuple[ForeignTable, ...] = ()
    """Tables of others, where a policy does not want them."""
    endpoints: tuple[Endpoint, ...] = ()
    """Where the management server is."""
    agent: int | None = None
    """The agent's own user, ``None`` where it runs as root."""
    systemd: bool = False
    """Whether units can be started here."""


def machine_in(kept: Kept) -> Machine:
    """Read what a survey found; nothing where there was none. Raises: msgspec.ValidationError."""
    return msgspec.convert(kept.get(KEPT, {}), learned(Machine))


def plain(machine: Machine) -> dict[str, Any]:
    """Return it as plain JSON that is the same for the same machine."""
    builtins: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(machine, order="deterministic"))
    return builtins
