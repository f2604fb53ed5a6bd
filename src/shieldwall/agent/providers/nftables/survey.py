"""Looking at the machine: what of it the table has to know. Asks only what the settings at hand make necessary."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Kept, Surroundings
from shieldwall.agent.providers.nftables import nft
from shieldwall.agent.providers.nftables.checking import Accepted, checked, kernel_helpers
from shieldwall.agent.providers.nftables.foreign import foreign_tables, legacy_tables
from shieldwall.agent.providers.nftables.interfaces import Interface, interfaces_of
from shieldwall.agent.providers.nftables.intervals import Family, address_text
from shieldwall.agent.providers.nftables.machine import KEPT, Endpoint, ForeignTable, Machine, Service, plain
from shieldwall.agent.providers.nftables.nft import NftablesError
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.agent.providers.nftables.script import is_right
from shieldwall.agent.providers.nftables.usable import understood
from shieldwall.agent.providers.nftables.users import user_numbers
from shieldwall.agent.providers.nftables.zones import ZONES, Profile, profile_of
from shieldwall.catalog.firewall.server import ServerEndpoints

AGENT_USER: Final = "shieldwall-agent"
_CGROUPS: Final = PurePosixPath("/sys/fs/cgroup")
_DEEPEST_UNIT: Final = "8"
_SYSTEMD: Final = PurePosixPath("/run/systemd/system")
_LEGACY: Final = (
    (PurePosixPath("/proc/net/ip_tables_names"), "ip", "iptables-legacy-save"),
    (PurePosixPath("/proc/net/ip6_tables_names"), "ip6", "ip6tables-legacy-save"),
)
_MOST_EXACT: Final = 2**53 - 1


def survey(host: Host, desired: Desired, surroundings: Surroundings, accepted: Accepted) -> Kept:
    """Look at the machine on behalf of ``desired``; ``accepted`` is the table that it took last.

    Raises: NftablesError, HostError.
    """
    profile = profile_of({name: value for name, value in desired.items() if is_right(name, value)})
    rules = understood(desired.get(FIREWALL_RULES, ()))
    kinds = {kind for rule in rules for kind in rule.kinds}
    interfaces = interfaces_of(host) if kinds or any(profile.zone(zone).networks for zone in ZONES) else ()
    minds_others = any(not profile.zone(zone).local_merge for zone in profile.reachable)
    machine = Machine(
        zones=_zones(interfaces, profile),
        kinds={kind: tuple(each.name for each in interfaces if each.kind == kind) for kind in sorted(kinds)},
        users=user_numbers(host, {user for rule in rules for user in rule.users if not user.isdecimal()}),
        services=_services(host, {rule.service for rule in rules if rule.service}),
        helpers=kernel_helpers(host) if profile.helpers else (),
        foreign=tables_of_others(host) if minds_others else (),
        endpoints=_endpoints(surroundings.server_urls),
        agent=user_numbers(host, {AGENT_USER}).get(AGENT_USER) if surroundings.server_urls else None,
        systemd=has_systemd(host),
    )
    return {KEPT: plain(checked(host, profile, rules, machine, accepted))}


def has_systemd(host: Host) -> bool:
    """Say whether units can be started on this machine."""
    return host.find_program("systemctl") is not None and host.locate(_SYSTEMD).is_dir()


def _zones(interfaces: Sequence[Interface], profile: Profile) -> dict[str, tuple[str, ...]]:
    """Put interfaces into zones by their own addresses; the strictest zone that claims one has it."""
    members: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()
    for zone in ZONES:
        networks = profile.zone(zone).networks
        inside = tuple(
            each.name
            for each in interfaces
            if each.name not in taken and any(each.is_in(network) for network in networks)
        )
        taken |= set(inside)
        if inside:
            members[zone] = inside
    return members


def _services(host: Host, units: set[str]) -> dict[str, Service]:
    """Find the control groups of units that run; without cgroup2 there are none."""
    find = host.find_program("find")
    if not units or find is None:
        return {}
    names = [word for unit in sorted(units) for word in ("-o", "-name", _literally(unit))][1:]
    command = [find, str(_CGROUPS), "-maxdepth", _DEEPEST_UNIT, "-type", "d", "(", *names, ")", "-printf", "%i %P\\n"]
    found: dict[str, Service] = {}
    # Groups come and go while they are listed, so what find says at its end means nothing.
    for line in sorted(host.run(command).stdout.decode(errors="replace").splitlines()):
        inode, _, path = line.partition(" ")
        unit = path.rpartition("/")[2]
        if unit in units and inode.isdecimal() and '"' not in path:
            shorter = unit not in found or path.count("/") < found[unit].path.count("/")
            found = {**found, unit: Service(path=path, inode=int(inode) & _MOST_EXACT)} if shorter else found
    return dict(sorted(found.items()))


def _literally(name: str) -> str:
    """Write a name as a pattern that only it fits."""
    return "".join(f"\\{character}" if character in "\\*?[]" else character for character in name)


def tables_of_others(host: Host) -> tuple[ForeignTable, ...]:
    """Find the tables of others that decide on the same packets. Raises: NftablesError, HostError."""
    try:
        tables = foreign_tables(nft.whole_ruleset(host))
    except (KeyError, TypeError, AttributeError) as error:
        raise NftablesError(f"nft answered something that is not a listing ({type(error).__name__}).") from error
    return (*tables, *(table for legacy in _LEGACY for table in _legacy(host, *legacy)))


def _legacy(host: Host, path: PurePosixPath, family: str, saving: str) -> tuple[ForeignTable, ...]:
    names = host.read_file(path)
    program = host.find_program(saving)
    completed = host.run([program]) if names and program is not None else None
    saved = completed.stdout if completed is not None and completed.returncode == 0 else None
    return legacy_tables(names, saved, family)


def _endpoints(urls: Sequence[str]) -> tuple[Endpoint, ...]:
    """Say where the server is. A name gives its port alone: whoever looks at the machine asks no name server."""
    endpoints: list[Endpoint] = []
    for endpoint in ServerEndpoints.of(urls).endpoints:
        if not endpoint.addresses:
            endpoints.append(Endpoint(port=endpoint.port))
        for addresses in endpoint.addresses:
            family: Family = "ip" if addresses.version == 4 else "ip6"
            endpoints.append(
                Endpoint(port=endpoint.port, family=family, address=address_text(family, addresses.interval[0]))
            )
    return tuple(dict.fromkeys(endpoints))
