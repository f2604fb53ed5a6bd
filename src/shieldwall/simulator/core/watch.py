"""What must never happen, looked for at every answer of the server and at every manifest that a device enforces.

The names are those of ``docs/simulator.md``. Whoever breaks one stops the simulation, which says from which seed it
comes again.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from sqlalchemy import select

from shieldwall.contract.ids import DeviceId, Digest
from shieldwall.contract.kinds import learned
from shieldwall.contract.messages import CheckInAnswer, CheckInRequest, FetchAnswer, FetchRequest, Manifest
from shieldwall.contract.strict_json import decode, digest_of, digest_of_bytes
from shieldwall.server.storage.check_ins import check_ins, statuses
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.tables.device_schema import alerts as alerts_table
from shieldwall.server.storage.tables.device_schema import devices as devices_table
from shieldwall.simulator.core.administration import Administration
from shieldwall.simulator.core.history import History
from shieldwall.simulator.core.server import Reply, SimulatedServer

CHECK_IN: Final = "/device/v1/checkin"
FETCH: Final = "/device/v1/fetch"

VERSIONS_RISE: Final = "I3: versions never fall"
KEPT: Final = "I5: what was acknowledged is kept"
ONCE: Final = "I6: a number has at most one effect"
OWN_ALONE: Final = "I10: no device reads what is another's"
CONVERGES: Final = "I11: after faults every device comes to its target"
TRUE_NOW: Final = "a check-in is answered by what is true at that moment"
NO_FALSE_CLONE: Final = "nobody is taken for a clone without being one"
CLONES_FOUND: Final = "a clone that runs beside its device is found"
LEFT: Final = "who was told to leave has left"
NO_FAULT: Final = "the server answers no 500"
NAMES: Final = (
    VERSIONS_RISE,
    KEPT,
    ONCE,
    OWN_ALONE,
    CONVERGES,
    TRUE_NOW,
    NO_FALSE_CLONE,
    CLONES_FOUND,
    LEFT,
    NO_FAULT,
)


class InvariantBrokenError(Exception):
    """What must never happen did."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name, self.what = name, what


class _Numbered(msgspec.Struct, frozen=True):
    """What every numbered request has in common."""

    seq: int | None = None
    epoch: int | None = None


_numbered: Final = msgspec.json.Decoder(learned(_Numbered))


@dataclass(frozen=True, slots=True)
class _Taken:
    epoch: int
    seq: int
    body: Digest

    @property
    def number(self) -> tuple[int, int]:
        return self.epoch, self.seq


@dataclass(slots=True)
class Watch:
    """Stands before the server and looks at what goes in and out."""

    server: SimulatedServer
    administration: Administration
    history: History
    taken: dict[DeviceId, _Taken] = field(default_factory=dict)
    attempts: dict[DeviceId, int] = field(default_factory=dict)
    reported: dict[DeviceId, Digest] = field(default_factory=dict)
    cloned: set[DeviceId] = field(default_factory=set)
    """Devices of which two machines run, or ran since they were last let out of quarantine."""
    checks: int = 0

    def answer(self, caller: DeviceId | None, path: str, headers: Mapping[str, str], body: bytes, client: str) -> Reply:
        """Let the server answer, and look at the answer. Raises: InvariantBrokenError."""
        repeats = None if caller is None else self._repeats(caller, body)
        before = self._effects(caller) if caller is not None and repeats else None
        reply = self.server.answer(path, headers, body, client)
        if reply.status == 500:
            raise InvariantBrokenError(NO_FAULT, f"{path} was answered {reply.body.decode()!r}")
        if caller is not None and reply.status < 300:
            self._look(caller, path, body, reply, repeats=bool(repeats), before=before)
        return reply

    def took(self, device_id: DeviceId, last: int, manifest: Manifest) -> None:
        """Look at a manifest that a device enforces from now on. Raises: InvariantBrokenError."""
        self.checks += 1
        if manifest.manifest_version < last:
            raise InvariantBrokenError(
                VERSIONS_RISE, f"{self._name(device_id)} went from {last} to {manifest.manifest_version}"
            )

    def at_the_end(self, device_id: DeviceId, enforced: Digest | None) -> None:
        """Look at a device that had time to come to its target. Raises: InvariantBrokenError."""
        with self.server.database.read() as connection:
            device, standing = devices.get(connection, device_id), check_ins.get(connection, device_id)
        if device.state is not DeviceState.ACTIVE:
            return
        self.checks += 1
        wanted = self.administration.expected_target(device_id)
        if not wanted == standing.target_digest == enforced:
            raise InvariantBrokenError(
                CONVERGES,
                f"{self._name(device_id)} enforces {enforced}, the server holds {standing.target_digest}, "
                f"wanted is {wanted}",
            )
        self._kept(device_id)

    def quarantines(self) -> frozenset[DeviceId]:
        """Return the devices in quarantine, each of which has to have a clone. Raises: InvariantBrokenError."""
        with self.server.database.read() as connection:
            query = select(devices_table.c.id).where(devices_table.c.state == DeviceState.QUARANTINED.value)
            found = frozenset(DeviceId(each) for each in connection.scalars(query))
        self.checks += 1
        if strangers := sorted(found - self.cloned):
            raise InvariantBrokenError(NO_FALSE_CLONE, self._name(strangers[0]))
        return found

    def _repeats(self, caller: DeviceId, body: bytes) -> bool:
        last, asked = self.taken.get(caller), _numbered.decode(body)
        return last is not None and (asked.epoch, asked.seq) == last.number and digest_of_bytes(body) == last.body

    def _look(
        self, caller: DeviceId, path: str, body: bytes, reply: Reply, *, repeats: bool, before: tuple[Any, ...] | None
    ) -> None:
        asked = _numbered.decode(body)
        if asked.seq is not None and asked.epoch is not None:
            self._number(caller, _Taken(asked.epoch, asked.seq, digest_of_bytes(body)), repeats=repeats)
        if before is not None and (after := self._effects(caller)) != before:
            raise InvariantBrokenError(ONCE, f"a repeated {path} of {self._name(caller)} made {after} of {before}")
        if path == CHECK_IN and not repeats:
            self._check_in(caller, decode(body, CheckInRequest), reply)
        elif path == FETCH:
            self._fetch(caller, decode(body, FetchRequest), reply)

    def _number(self, caller: DeviceId, now: _Taken, *, repeats: bool) -> None:
        self.checks += 1
        last = self.taken.get(caller)
        if last is not None and not repeats and now.number <= last.number:
            raise InvariantBrokenError(ONCE, f"{self._name(caller)} was answered {now.number} after {last.number}")
        self.taken[caller] = now

    def _check_in(self, caller: DeviceId, request: CheckInRequest, reply: Reply) -> None:
        self.checks += 1
        if caller in self.administration.gone:
            return  # it gets its order to leave; nothing of it is kept any more
        self.attempts[caller] = self.attempts.get(caller, 0) + len(request.attempts)
        if request.facts is not None:
            self.administration.names[caller] = request.facts.display_name
        answer = decode(reply.body, CheckInAnswer) if reply.status == 200 else None
        self._report(caller, request, answer)
        manifest = None if answer is None or answer.manifest is None else _opened(answer)
        told = request.have.target if manifest is None else manifest.target
        if told != (wanted := self.administration.expected_target(caller)) and self._is_active(caller):
            raise InvariantBrokenError(
                TRUE_NOW, f"{self._name(caller)} was left with {told}, wanted at that moment was {wanted}"
            )

    def _report(self, caller: DeviceId, request: CheckInRequest, answer: CheckInAnswer | None) -> None:
        """Where the server does not ask for the report, it has it: the one that came, or the one that was named."""
        if request.report is not None:
            self.reported[caller] = digest_of(request.report)
        elif request.have.status is not None and (answer is None or "report" not in answer.want):
            if self.reported.get(caller) == request.have.status:
                return  # as it was looked at when it came
            self.reported[caller] = request.have.status
        else:
            return
        self._kept(caller)

    def _fetch(self, caller: DeviceId, request: FetchRequest, reply: Reply) -> None:
        self.checks += 1
        own = {item.digest for item in self.administration.expected(caller)}
        got = {_payload_digest(envelope.payload) for envelope in decode(reply.body, FetchAnswer).policies}
        if not (set(request.digests) | got) <= own and self._is_active(caller):
            raise InvariantBrokenError(OWN_ALONE, f"{self._name(caller)} was given {sorted(got - own)}")

    def _kept(self, device_id: DeviceId) -> None:
        if (digest := self.reported.get(device_id)) is None:
            return
        tenant_id = self.server.settings.tenant_id
        with self.server.database.read() as connection:
            held = check_ins.get(connection, device_id).status_digest
            there = held is not None and statuses.exists(connection, tenant_id, held)
        self.checks += 1
        if held != digest or not there:
            raise InvariantBrokenError(KEPT, f"{self._name(device_id)} reported {digest}, the server holds {held}")

    def _effects(self, device_id: DeviceId) -> tuple[Any, ...]:
        """Read what a numbered request may have changed for good."""
        with self.server.database.read() as connection:
            row = check_ins.get(connection, device_id)
            query = select(alerts_table.c.times).where(
                alerts_table.c.device_id == device_id, alerts_table.c.kind.like("tamper.%")
            )
            told = sum(connection.scalars(query))
        return row.epoch, row.seq, row.facts_digest, row.status_digest, told

    def attempts_counted(self) -> None:
        """Compare the attempts told, each once, with what alerts count. Raises: InvariantBrokenError."""
        for device_id, count in self.attempts.items():
            told = self._effects(device_id)[-1]
            self.checks += 1
            if told != count:
                raise InvariantBrokenError(
                    ONCE, f"{self._name(device_id)} told of {count} attempts, alerts count {told}"
                )

    def _is_active(self, device_id: DeviceId) -> bool:
        with self.server.database.read() as connection:
            return devices.get(connection, device_id).state is DeviceState.ACTIVE

    def _name(self, device_id: DeviceId) -> str:
        return self.administration.names.get(device_id, device_id)


Caller = Callable[[], DeviceId | None]
"""Says who a machine is by now: nobody, before it is enrolled."""


def _opened(answer: CheckInAnswer) -> Manifest:
    assert answer.manifest is not None
    return decode(base64.b64decode(answer.manifest.payload), Manifest)


def _payload_digest(payload: str) -> Digest:
    return digest_of_bytes(base64.b64decode(payload))
