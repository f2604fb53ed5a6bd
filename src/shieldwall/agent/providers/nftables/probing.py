"""Sending packets into this machine to see whether the table stops and lets in what it must, and when that is due."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct, field

from shieldwall.agent.firewall_probe.packets import Answer, answer_to, packet_bytes
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Observation
from shieldwall.agent.providers.nftables import nft
from shieldwall.agent.providers.nftables.differences import differences
from shieldwall.agent.providers.nftables.interfaces import interfaces_of
from shieldwall.agent.providers.nftables.judging import Fate, compared_only, judged, reached, with_rules_left
from shieldwall.agent.providers.nftables.live import LiveTable
from shieldwall.agent.providers.nftables.nft import NftablesError
from shieldwall.agent.providers.nftables.rules import parse_rule
from shieldwall.agent.providers.nftables.script import Asked
from shieldwall.agent.providers.nftables.survey import tables_of_others
from shieldwall.agent.providers.nftables.trials import SOURCE, Trial, is_provable, trials_of, zone_of_device
from shieldwall.agent.providers.nftables.zones import zone_of
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.strict_json import decode_any, encode

PROGRAM: Final = "shieldwall.agent.firewall_probe"
_WAIT_SECONDS: Final = 0.03
"""How long answers may take. They are the kernel's own, made while the packet is handed to it."""
_MOST_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 3600.0
"""When the same table is probed again. Each probe makes a device, of which half the machine takes note."""
_AFTER_FAILURE_SECONDS: Final = 600.0
_EPHEMERAL, _PORTS = 40_000, 20_000
_NO_ADDRESS: Final = "The machine has no address of IPv4 to send a packet to."
_LINK_LOCAL: Final = 0xA9FE


class Proof(Struct, frozen=True, kw_only=True):
    """What packets showed, or why none did."""

    found: Mapping[SettingId, Observation] = field(default_factory=dict)
    why_not: str = ""
    seconds: float = _AGAIN_SECONDS
    """How long it counts."""

    def of(self, setting: SettingId, asked: Asked) -> Observation | None:
        """Return what packets say of a setting for which the table speaks; ``None`` where that is for no packet."""
        if not is_provable(setting):
            return None
        if (seen := self.found.get(setting)) is not None:
            return seen
        zone, own = zone_of(setting), zone_of_device(asked)
        if zone not in {None, own}:
            return compared_only("Packets of a probe come in through the zone of a device of its own.")
        return compared_only(self.why_not or "No packet of a probe is decided by that alone.")


class Probe:
    """Probes a table once it is new, and from time to time."""

    def __init__(self, python: str, *, monotonic: Callable[[], float]) -> None:
        """``python`` runs the program that sends packets; it has to have Shieldwall installed."""
        self._python = python
        self._monotonic = monotonic
        self._known: tuple[Host, Asked, float, Proof] | None = None

    def forget(self) -> None:
        """Probe at the next look: the table was loaded anew, or was not as it must be."""
        self._known = None

    def proof(self, host: Host, asked: Asked, live: LiveTable) -> Proof:
        """Return what packets show of a table that is in the kernel as it must be. Never raises."""
        now = self._monotonic()
        if self._known is not None:
            of, what, at, proof = self._known
            if of is host and what == asked and now - at < proof.seconds:
                return proof
        proof = self._probed(host, asked, live, first_port=_EPHEMERAL + int(now * 1000) % _PORTS)
        self._known = (host, asked, now, proof)
        return proof

    def _probed(self, host: Host, asked: Asked, before: LiveTable, *, first_port: int) -> Proof:
        try:
            if (local := _local(host)) is None:
                return Proof(why_not=_NO_ADDRESS, seconds=0)
            trials = trials_of(asked, local, first_port)
            if not trials:
                return Proof()
            packets = self._exchanged(host, trials, local)
            after = nft.live_table(host)
            if after is None or differences(after, asked.table()):
                return Proof(why_not="The table changed while packets were sent.", seconds=0)
            fates = [
                Fate(answer=_answer(trial, packets), reached=counted)
                for trial, counted in zip(trials, reached(trials, before, after), strict=True)
            ]
            # Whoever else has a say matters only where something is not as it must be, and asking is dear.
            alone = all(fate.reached for fate in fates) or not tables_of_others(host)
            found = judged(trials, fates, alone=alone)
        except (NftablesError, HostError) as error:
            return Proof(why_not=error.cause, seconds=_AFTER_FAILURE_SECONDS)
        enabled = {rule.id for rule in map(parse_rule, asked.rules or ()) if rule.enabled}
        return Proof(found=with_rules_left(found, trials, len(enabled)))

    def _exchanged(self, host: Host, trials: Sequence[Trial], local: int) -> list[bytes]:
        """Run the program and return what came back. Raises: NftablesError, HostError."""
        asked = {
            "source": SOURCE,
            "local": local,
            "packets": [packet_bytes(trial.packet).hex() for trial in trials],
            "seconds": _WAIT_SECONDS,
        }
        command = [self._python, "-I", "-m", PROGRAM]
        completed = host.run(command, stdin=encode(asked), timeout_seconds=_MOST_SECONDS)
        try:
            said = decode_any(completed.stdout)
            if "reason" in said:
                raise NftablesError(f"No packet was sent. {said['reason']}"[:500])
            return [bytes.fromhex(answer) for answer in said["answers"]]
        except (InvalidJsonError, KeyError, TypeError, ValueError) as error:
            raise NftablesError(f"The program that sends packets ended with {completed.returncode}.") from error


def _answer(trial: Trial, packets: Sequence[bytes]) -> Answer | None:
    answers = (answer_to(trial.packet, each) for each in packets)
    return next((answer for answer in answers if answer is not None), None)


def _local(host: Host) -> int | None:
    """Choose an address of the machine's own to send packets to. Raises: NftablesError, HostError."""
    numbers = (
        number
        for interface in interfaces_of(host)
        for family, number in interface.addresses
        if family == "ip" and number >> 16 != _LINK_LOCAL
    )
    return next(numbers, None)
