"""The nftables provider: which programs to run, what they said, and what that means."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, ProviderError, Rendered, Support
from shieldwall.agent.providers.nftables.lines import TABLE, lines_for
from shieldwall.agent.providers.nftables.live import LiveTable, differences, parse_table
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES, UnusableRuleError, name_of, parse_rule
from shieldwall.agent.providers.nftables.script import items_in, script_of
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus, SettingState
from shieldwall.contract.strict_json import decode_any
from shieldwall.policy.values import SettingValue

SCRIPT: Final = PurePosixPath("/etc/shieldwall/nftables.conf")


class NftablesError(ProviderError):
    """The program nft did not do what was asked."""

    code = "nftablesFailed"
    remedy = "Run `nft list tables` as root on the device; the message of nft says what the kernel refused."


class NftablesProvider:
    """Keeps the table ``inet shieldwall`` as the firewall rules of the policies say."""

    @property
    def name(self) -> str:
        """Word in statuses."""
        return "nftables"

    def product_version(self, host: Host) -> str | None:
        """Return nft's version when it is there and this process may use it."""
        try:
            return _usable(host)
        except (NftablesError, HostError):
            return None

    def support(self, host: Host, setting: SettingId) -> Support | None:
        """Claim the firewall rules where nft can be used.

        Raises:
            HostError: The program did not run to its end. That says nothing about the machine, so it is not an answer.
        """
        if setting != FIREWALL_RULES:
            return None
        try:
            _usable(host)
        except NftablesError as error:
            return Support(applicable=False, reason=error.cause)
        return Support(applicable=True)

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the one script we own."""
        return (SCRIPT,)

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Write the script for the rules that can be expressed; without the setting, put back what was there before."""
        current = files.get(SCRIPT)
        if FIREWALL_RULES not in desired:
            return Rendered(files={SCRIPT: _before(kept) if "before" in kept else current}, kept={})
        usable, rejected = _sorted_out(desired[FIREWALL_RULES])
        return Rendered(
            files={SCRIPT: script_of(usable)},
            kept=kept
            if "before" in kept
            else {"before": None if current is None else base64.b64encode(current).decode()},
            rejected={FIREWALL_RULES: rejected} if rejected else {},
        )

    def read(self, files: Files) -> Desired:
        """Read the rules back from a script that is exactly ours."""
        items = items_in(files.get(SCRIPT))
        return {} if items is None else {FIREWALL_RULES: items}

    def activate(self, host: Host) -> None:
        """Load the script in one transaction; when it is not ours (any more), drop our table and nothing else."""
        script = host.read_file(SCRIPT)
        if items_in(script) is not None:
            assert script is not None
            _nft(host, "-f", "-", stdin=script)
        elif host.find_program("nft") is not None:
            # As in the script: adding first makes the deletion succeed whether or not the table is there.
            _nft(host, "-f", "-", stdin=f"add table inet {TABLE}\ndelete table inet {TABLE}\n".encode())

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        """Compare the table in the kernel with the rules desired."""
        if FIREWALL_RULES not in desired:
            return {}
        usable, _ = _sorted_out(desired[FIREWALL_RULES])
        try:
            live = _live_table(host)
        except (NftablesError, HostError) as error:
            return {FIREWALL_RULES: Observation(effective=None, code=error.code, reason=error.cause)}
        found = differences(live, lines_for(map(parse_rule, usable)))
        if not found:
            return {FIREWALL_RULES: Observation(effective=True)}
        codes = ", ".join(dict.fromkeys(difference.code for difference in found))
        reasons = " ".join(difference.reason for difference in found[:10])
        return {FIREWALL_RULES: Observation(effective=False, code=codes, reason=reasons)}


def _sorted_out(value: SettingValue) -> tuple[tuple[SettingValue, ...], tuple[ItemStatus, ...]]:
    usable: list[SettingValue] = []
    rejected: list[ItemStatus] = []
    for item in value if isinstance(value, tuple) else (value,):
        try:
            parse_rule(item)
        except UnusableRuleError as error:
            status = ItemStatus(item=name_of(item)[:1024], state=SettingState.ERROR, code=error.code, reason=str(error))
            rejected.append(status)
        else:
            usable.append(item)
    return tuple(usable), tuple(rejected)


def _before(kept: Kept) -> bytes | None:
    before = kept["before"]
    return None if before is None else base64.b64decode(before)


def _usable(host: Host) -> str:
    version = _nft(host, "--version").decode(errors="replace").strip()
    _nft(host, "-j", "list", "tables")  # needs CAP_NET_ADMIN, which --version does not
    return version.removeprefix("nftables ").removeprefix("v").split(" ")[0]


def _live_table(host: Host) -> LiveTable | None:
    try:
        tables = decode_any(_nft(host, "-j", "list", "tables"))["nftables"]
        ours = {"family": "inet", "name": TABLE}
        if not any("table" in entry and ours.items() <= entry["table"].items() for entry in tables):
            return None
        listing: Any = decode_any(_nft(host, "-j", "list", "table", "inet", TABLE), max_depth=64)
        return parse_table(listing)
    except (InvalidJsonError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise NftablesError(f"nft answered something that is not a listing ({type(error).__name__}).") from error


def _nft(host: Host, *arguments: str, stdin: bytes = b"") -> bytes:
    program = host.find_program("nft")
    if program is None:
        raise NftablesError("The program nft is not installed.", remedy="Install the package nftables.")
    completed = host.run([program, *arguments], stdin=stdin)
    if completed.returncode != 0:
        words = completed.stderr.decode(errors="replace").strip().split("\n")[0][:500]
        raise NftablesError(f"nft {' '.join(arguments)} failed: {words or f'exit code {completed.returncode}'}.")
    return completed.stdout
