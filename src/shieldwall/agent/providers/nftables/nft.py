"""Running the program nft, and what its answers say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.nftables.lines import TABLE
from shieldwall.agent.providers.nftables.live import FLAGGED, LiveTable, parse_table
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.strict_json import decode_any

PROGRAM: Final = "nft"
MONITOR: Final = (PROGRAM, "-j", "monitor")
"""Prints a line of JSON whenever a table, a chain or a rule changes."""
_DEEP: Final = 64
_LONGEST: Final = 500


class NftablesError(ProviderError):
    """The program nft did not do what was asked."""

    code = "nftablesFailed"
    remedy = "Run `nft list tables` as root on the device; the message of nft says what the kernel refused."


def run_nft(host: Host, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run nft and return what it printed. Raises: NftablesError, HostError."""
    program = host.find_program(PROGRAM)
    if program is None:
        raise NftablesError("The program nft is not installed.", remedy="Install the package nftables.")
    completed = host.run([program, *arguments], stdin=stdin)
    if completed.returncode != 0:
        words = completed.stderr.decode(errors="replace").strip().split("\n")[0][:_LONGEST]
        raise NftablesError(f"nft {' '.join(arguments)} failed: {words or f'exit code {completed.returncode}'}.")
    return completed.stdout


def load(host: Host, script: bytes) -> None:
    """Load a script in one transaction. Raises: NftablesError, HostError."""
    run_nft(host, "-f", "-", stdin=script)


def delete_table(host: Host) -> None:
    """Delete our table, and nothing where nft is not installed. Raises: NftablesError, HostError."""
    if host.find_program(PROGRAM) is not None:
        # As in the script: adding first makes the deletion succeed whether or not the table is there.
        load(host, f"add table inet {TABLE}\ndelete table inet {TABLE}\n".encode())


def refusal_of(host: Host, script: bytes) -> str | None:
    """Let nft and the kernel check a script without loading it; return their words, ``None`` when it is fine."""
    try:
        run_nft(host, "-c", "-f", "-", stdin=script)
    except NftablesError as error:
        return error.cause
    return None


def usable_version(host: Host) -> str:
    """Return nft's version when this process may use it. Raises: NftablesError, HostError."""
    version = run_nft(host, "--version").decode(errors="replace").strip()
    check_rights(host)
    return version.removeprefix("nftables ").removeprefix("v").split(" ")[0]


def check_rights(host: Host) -> None:
    """Find out whether this process may use nft; ``--version`` says nothing of it. Raises: NftablesError, HostError."""
    run_nft(host, "-j", "list", "tables")


def live_table(host: Host) -> LiveTable | None:
    """Read our table from the kernel; ``None`` when there is none. Raises: NftablesError, HostError."""
    try:
        # Terse: what the sets hold at the moment is not of the policy. Numeric: names depend on files of the machine.
        entries = _entries(host, "-j", "-n", "-t", "list", "table", "inet", TABLE)
        (own,) = (entry["table"] for entry in entries if "table" in entry)
        return FLAGGED if "flags" in own else parse_table({"nftables": entries})
    except NftablesError:
        if _is_there(host):
            raise
        return None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # nft 1.0.6 prints whatever lies in memory in the place of a table's flags.
        if _has_flags(host):
            return FLAGGED
        raise _no_listing(error) from error


def whole_ruleset(host: Host) -> Sequence[Any]:
    """Return every table, chain and rule that the kernel has. Raises: NftablesError, HostError."""
    try:
        return _entries(host, "-j", "-t", "list", "ruleset")
    except ValueError as error:
        raise _no_listing(error) from error


def _entries(host: Host, *arguments: str) -> Sequence[Any]:
    """Run nft and return what it lists. Raises: ValueError on anything else; NftablesError, HostError."""
    said = run_nft(host, *arguments)
    try:
        entries = decode_any(said, max_depth=_DEEP)["nftables"]
    except (InvalidJsonError, KeyError, TypeError) as error:
        raise ValueError("no listing") from error
    if not isinstance(entries, list):
        raise ValueError("no listing")  # noqa: TRY004 - what is wrong is what nft printed
    return entries


def _is_there(host: Host) -> bool:
    """Say whether our table is among those that the kernel has. Raises: NftablesError, HostError."""
    return f"table inet {TABLE}".encode() in run_nft(host, "list", "tables").splitlines()


def _no_listing(error: Exception) -> NftablesError:
    return NftablesError(f"nft answered something that is not a listing ({type(error).__name__}).")


def _has_flags(host: Host) -> bool:
    """Say whether our table has flags, in nft's own language. Raises: NftablesError, HostError."""
    return b"\tflags " in run_nft(host, "-t", "list", "table", "inet", TABLE).partition(b"chain")[0]
