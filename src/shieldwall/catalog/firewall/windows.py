"""Rules of the Windows firewall: what must stand together, and the rule as it takes effect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from shieldwall.catalog.exclusions.windows import place_of
from shieldwall.catalog.exclusions.windows_places import WINDOWS
from shieldwall.catalog.faults import Fault, LocatedFault, Members
from shieldwall.catalog.firewall import texts
from shieldwall.catalog.firewall.ranges import Addresses, Interval
from shieldwall.catalog.firewall.rules import ICMP, TCP, UDP, Rule, unless_everywhere
from shieldwall.catalog.firewall.server import ServerEndpoints
from shieldwall.contract.ids import SettingId

RULES: Final = SettingId("vendor_msft_firewall_mdmstore_firewallrules_{firewallrulename}")

_ICMP_PROTOCOLS: Final = (ICMP, 58)
_PORT_PROTOCOLS: Final = (TCP, UDP)
_NARROWING: Final = (
    *("app_filepath", "app_fqbn", "app_packagefamilyname", "app_servicename", "localuserauthorizedlist", "policyappid"),
)
_ALL_PROFILES: Final = frozenset({"1", "2", "4"})
_EVERY_PROFILE: Final = "2147483647"
_NAME_SERVICE: Final = "dnscache"
_SERVICE_HOST: Final = "/windows/system32/svchost.exe"
_INTERNET: Final = "internet"
_EVERYWHERE_IN_WORDS: Final = ({_INTERNET, "intranet"}, {_INTERNET, "localsubnet", "rmtintranet"})
_EVERY_KIND: Final = frozenset({"lan", "wireless", "remoteaccess"})
_VEILED: Final = re.compile(r"~[0-9]|^[\\/]{2}[.?][\\/]|(?:^|[\\/])\.{1,2}(?:[\\/]|$)")
"""Short names, paths of devices and steps through . or .. in a path."""


def read_rule(members: Members, server: ServerEndpoints | None) -> Rule | tuple[LocatedFault, ...]:
    """Read one rule as it takes effect, or say what cannot stand together in it.

    ``members`` holds item ids and texts that are right each by itself. Without a direction a rule is about what leaves,
    without profiles about all of them, and without being switched off it counts.
    """
    return tuple(_not_together(members)) or _rule(members, server)


def _not_together(members: Members) -> Iterator[LocatedFault]:
    protocol = _protocol(members)
    for name, protocols in (
        ("localportranges", _PORT_PROTOCOLS),
        ("remoteportranges", _PORT_PROTOCOLS),
        ("icmptypesandcodes", _ICMP_PROTOCOLS),
    ):
        if _texts(members, name) and protocol not in protocols:
            yield _member(name), _apart(f"{_member('protocol')} set to {' or '.join(map(str, protocols))}.")
    if _option(members, "edgetraversal", "0") == "1" and _is_outgoing(members):
        yield _member("edgetraversal"), _apart(f"{_member('direction')}_in.")
    interfaces = _texts(members, "interfacetypes")
    if len(interfaces) > 1 and f"{_member('interfacetypes')}_all" in interfaces:
        yield _member("interfacetypes"), _apart("All alone, or other kinds of interface without it.")
    if any(text.lower() in texts.TOKENS for text in _texts(members, "localaddressranges")):
        yield _member("localaddressranges"), _apart("Addresses of this device; a word stands for remote ones only.")


def _rule(members: Members, server: ServerEndpoints | None) -> Rule:
    words = {text.lower() for text in _texts(members, "remoteaddressranges")}
    written = str(members.get(_member("app_filepath"), ""))
    program = place_of(written) or ""
    service = str(members.get(_member("app_servicename"), "")).lower()
    return Rule(
        blocks=_option(members, "action_type", "1") == "0" and _option(members, "enabled", "1") == "1",
        outgoing=_is_outgoing(members),
        protocol=_protocol(members),
        local_addresses=_addresses(_texts(members, "localaddressranges")),
        remote_addresses=_remote_addresses(members, server),
        local_ports=_ports(members, "localportranges"),
        remote_ports=_ports(members, "remoteportranges"),
        reaches_name_servers="dns" in words,
        somewhere=_is_somewhere(members),
        narrowed=any(members.get(_member(name)) not in {None, "", "*"} for name in _NARROWING),
        about_agent=program.startswith(tuple(f"{place}/" for place in WINDOWS.agent)) or _is_veiled(written),
        about_name_service=service == _NAME_SERVICE or (program == _SERVICE_HOST and service in {"", "*"}),
    )


def _remote_addresses(members: Members, server: ServerEndpoints | None) -> tuple[Addresses, ...] | None:
    """Return the remote addresses named. The internet holds every public address, so those of the server as well."""
    named = _texts(members, "remoteaddressranges")
    words = {text.lower() for text in named}
    if any(words >= everywhere for everywhere in _EVERYWHERE_IN_WORDS):
        return None
    if not named and _texts(members, "remoteaddressdynamickeywords"):
        return ()
    addresses = _addresses(named)
    if addresses is None or server is None or _INTERNET not in words:
        return addresses
    return (*addresses, *(one for endpoint in server.endpoints for one in endpoint.addresses if one.is_public))


def _is_somewhere(members: Members) -> bool:
    """Say whether a rule holds in some networks or on some kinds of interfaces alone."""
    profiles = {item_id.rpartition("_")[2] for item_id in _texts(members, "profiles")}
    interfaces = {item_id.rpartition("_")[2] for item_id in _texts(members, "interfacetypes")}
    every_profile = not profiles or _EVERY_PROFILE in profiles or profiles >= _ALL_PROFILES
    every_kind = not interfaces or "all" in interfaces or interfaces >= _EVERY_KIND
    return not every_profile or not every_kind


def _is_veiled(program: str) -> bool:
    """Say whether a path may lead anywhere, to the agent as well."""
    return _VEILED.search(program) is not None


def _is_outgoing(members: Members) -> bool:
    return _option(members, "direction", "out") == "out"


def _member(name: str) -> SettingId:
    return SettingId(f"{RULES}_{name}")


def _apart(allowed: str) -> Fault:
    return Fault("notTogether", "This goes only with another value of a setting beside it.", allowed)


def _option(members: Members, name: str, default: str) -> str:
    prefix = f"{_member(name)}_"
    return str(members.get(_member(name), prefix + default)).removeprefix(prefix)


def _texts(members: Members, name: str) -> tuple[str, ...]:
    return tuple(members.get(_member(name), ()))


def _protocol(members: Members) -> int | None:
    text = str(members.get(_member("protocol"), ""))
    return int(text) if text.isdecimal() else None


def _addresses(named: tuple[str, ...]) -> tuple[Addresses, ...] | None:
    if not named:
        return None
    read = (texts.parse_windows_addresses(text) for text in named)
    return unless_everywhere(tuple(one for some in read if not isinstance(some, Fault) for one in some))


def _ports(members: Members, name: str) -> tuple[Interval, ...]:
    read = (texts.parse_windows_ports(text) for text in _texts(members, name))
    return tuple(ports for ports in read if not isinstance(ports, Fault))
