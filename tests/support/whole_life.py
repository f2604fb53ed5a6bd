"""A tenant's whole server in one transaction that is never committed: every way in which a device's life goes on.

Each method is one transaction of the real server, with the real functions in it. What is refused leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection
from tests.support.enrolment import Newcomer, body_digest
from tests.support.manager_world import World, a_draft, a_firewall_draft
from tests.support.other_directory import Holder, OtherDirectory
from tests.support.pretend_tpm import PretendTpm
from tests.support.samples import NOON, TENANT_ID, a_package, device_id

from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.contract.messages import PROTOCOL, CheckInRequest, DeviceFacts, HardwareIds, Have, OffboardRequest
from shieldwall.contract.registration import (
    CertificateRequest,
    ExistingRegistrationProof,
    PendingAnswer,
    PromoteRequest,
    RegisterAnswer,
    RegisterRequest,
    ResyncRequest,
)
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.directory import groups
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.directory.registrations import RegistrationDraft, import_registration
from shieldwall.server.inventory import credentials, promotion
from shieldwall.server.inventory.attestation import ask_anew
from shieldwall.server.inventory.attested import attested
from shieldwall.server.inventory.claims import Asked
from shieldwall.server.inventory.nonces import NonceSealer
from shieldwall.server.inventory.onboarding import Onboarding, read_certificate_request
from shieldwall.server.manager import resync, turns
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.goodbye import say_goodbye
from shieldwall.server.manager.sequence import Numbered
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.records import AssignmentKind
from shieldwall.trust import strict_base64
from shieldwall.trust.certificate_request import build_request
from shieldwall.trust.device_key import DeviceKey, public_key_info

UNPROVEN = ExistingRegistrationProof(certificate="", algorithm="ecdsa-p256-sha256", signature="")
RULES = (
    '(device.displayName -startsWith "lap")',
    "(device.accountEnabled -eq true)",
    '(device.attestationLevel -ne "none")',
    '(device.managementType -eq "MicrosoftSense")',
    '(device.deviceTag -any (_ -eq "web"))',
    "(device.deviceTrustType -eq null)",
)


@dataclass
class Machine:
    """A machine that is, was or wants to be a device, as it sees itself."""

    key: DeviceKey
    request: RegisterRequest
    id: DeviceId
    instances: list[str]
    seq: int = 0


@dataclass
class WholeLife:
    """The server, and the machines that ever came to it."""

    world: World
    connection: Connection
    groups: list[GroupId]
    machines: list[Machine] = field(default_factory=list)
    holders: list[Holder] = field(default_factory=list)
    gone: list[DeviceId] = field(default_factory=list)
    directory: OtherDirectory = field(default_factory=lambda: OtherDirectory(NOON))
    sealer: NonceSealer = field(default_factory=lambda: NonceSealer(key=b"n" * 32))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction of the server: undone where it is refused."""
        savepoint = self.connection.begin_nested()
        try:
            yield
        except ShieldwallError:
            savepoint.rollback()
        except BaseException:
            savepoint.rollback()
            raise
        else:
            savepoint.commit()

    def nonce(self) -> str:
        return self.sealer.seal(TENANT_ID, self.world.clock.now())

    def caller(self, machine: Machine) -> CallingDevice:
        return CallingDevice(id=machine.id, tenant_id=TENANT_ID, key=machine.key.thumbprint)

    def registers(self, *, package: int, hardware: int | None, name: str, holder: Holder | None) -> None:
        record = a_package(package, **({} if package == 1 else {"key": b"m" * 32}))
        newcomer = Newcomer.holding(record)
        ids = HardwareIds() if hardware is None else HardwareIds(machine_id_hash=digest_of_bytes(b"%d" % hardware))
        facts = DeviceFacts(display_name=name, os_type="Linux", os_version="Debian 12")
        details = {"hardware": ids, "facts": facts}
        request = newcomer.asks(self.nonce(), existing=holder, details_too=details, device_display_name=name)
        with self.transaction():
            answer = self._onboarded(request)
            self.machines.append(Machine(newcomer.key, request, answer.device_id, ["0" * 32]))

    def repeats(self, machine: Machine) -> None:
        with self.transaction():
            answer = self._onboarded(machine.request)
            assert answer.device_id == machine.id

    def holds(self) -> Holder:
        holder = self.directory.holder(device_id(len(self.holders) + 1))
        draft = RegistrationDraft(
            device_id=device_id(len(self.holders) + 1), display_name="held", certificate=holder.presented
        )
        import_registration(self.connection, self.world.acting, draft)
        self.holders.append(holder)
        return holder

    def checks_in(self, machine: Machine, *, instance: str | None = None, facts: DeviceFacts | None = None) -> None:
        with self.transaction():
            number = self._number(machine)
            request = CheckInRequest(
                seq=number.seq,
                epoch=number.epoch,
                instance_id=instance or machine.instances[0],
                boot_id="",
                agent_version="0.1.0",
                protocol=PROTOCOL,
                have=Have(),
                facts=facts,
            )
            digest = strict_json.digest_of(request)
            self.world.check_in.record(self.connection, self.caller(machine), request, digest)

    def resyncs(self, machine: Machine, instance: str) -> None:
        request = ResyncRequest(
            nonce=self.nonce(), instance_id=instance, boot_id="", hardware=HardwareIds(), reason="seqConflict"
        )
        acting, caller = self.world.acting, self.caller(machine)
        with self.transaction():
            digest = strict_json.digest_of(request)
            resync.resync(self.connection, acting, caller, request, digest, sealer=self.sealer)

    def changes_key(self, machine: Machine, key: DeviceKey) -> None:
        csr = build_request(key, self.nonce())
        with self.transaction():
            self._take(machine)
            credentials.change_key(
                self.connection,
                self.world.acting,
                machine.id,
                read_certificate_request(_promotion(csr, machine.seq)),
                issuer=self.world.signer,
                sealer=self.sealer,
            )
            machine.key = key

    def renews(self, machine: Machine) -> None:
        with self.transaction():
            self._take(machine)
            credentials.renew(self.connection, self.world.acting, self.world.signer, machine.id)

    def attests(self, machine: Machine) -> None:
        tpm = PretendTpm(device_key=machine.key)
        with self.transaction():
            device = turns.speaking(self.connection, self.caller(machine), self.world.clock.now())
            asked = ask_anew(self.connection, device, tpm.offer(), self.world.clock.now(), lambda size: b"r" * size)
            answer = tpm.answer(asked, tenant_id=TENANT_ID, device_id=device.id)
            attested(self.connection, self.world.acting, self.world.signer, device, answer)

    def promotes(self, machine: Machine, holder: Holder) -> None:
        key, nonce = DeviceKey.generate(), self.nonce()
        request = _promotion(build_request(key, nonce), machine.seq)
        spki = public_key_info(key.public_key)
        proof = holder.proof(request, tenant_id=TENANT_ID, nonce=nonce, spki=spki)
        request = msgspec.structs.replace(request, existing=proof)
        asked = Asked(
            request=request, certified=read_certificate_request(request), digest=strict_json.digest_of(request)
        )
        with self.transaction():
            self._take(machine)
            act = promotion.Promotion(acting=self.world.acting, signer=self.world.signer, sealer=self.sealer)
            answer = act(self.connection, machine.id, asked)
            self.gone.append(machine.id)
            machine.id, machine.key, machine.seq = answer.device_id, key, 0

    def leaves(self, machine: Machine) -> None:
        with self.transaction():
            number = self._take(machine)
            request = OffboardRequest(seq=number.seq, epoch=number.epoch)
            say_goodbye(self.connection, self.world.acting, self.caller(machine), request)

    def _onboarded(self, request: RegisterRequest) -> RegisterAnswer | PendingAnswer:
        onboarding = Onboarding(
            tenant_id=TENANT_ID,
            signer=self.world.signer,
            sealer=self.sealer,
            clock=self.world.clock,
            new_id=self.world.new_id,
            on_devices_changed=self.world.acting.on_devices_changed,
        )
        return onboarding(self.connection, request, read_certificate_request(request), body_digest(request))

    def _number(self, machine: Machine) -> Numbered:
        last = check_ins.find(self.connection, machine.id)
        epoch, machine.seq = (1, 1) if last is None else (last.epoch, last.seq + 1)
        return Numbered(epoch, machine.seq, digest_of_bytes(b"%d" % machine.seq))

    def _take(self, machine: Machine) -> Numbered:
        number = self._number(machine)
        turns.take(self.connection, self.caller(machine), number, self.world.clock.now())
        return number


def furnish(world: World, connection: Connection) -> list[GroupId]:
    """Two packages, a group by each rule and an assigned one, and two policies; return the groups."""
    acting, made = world.acting, list[GroupId]()
    packages.add(connection, a_package(1))
    packages.add(connection, a_package(2, approval="manual", key=b"m" * 32))
    for number, rule in enumerate((None, *RULES)):
        draft = GroupDraft(display_name=f"g{number}", mail_nickname=f"g{number}", membership_rule=rule)
        made.append(groups.create_group(connection, acting, draft).id)
    asking = f"(device.memberOf -any (group.objectId -in ['{made[1]}', '{made[0]}']))"
    draft = GroupDraft(display_name="asking", mail_nickname="asking", membership_rule=asking)
    made.append(groups.create_group(connection, acting, draft).id)
    include, everybody = AssignmentKind.INCLUDE, AssignmentKind.ALL_DEVICES
    for policy_draft, whom in (
        (a_draft(), Assigned(kind=include, group_id=made[3])),
        (a_firewall_draft(), Assigned(kind=everybody)),
    ):
        policy = world.policies.create(connection, acting, policy_draft)
        assign(connection, acting, policy.id, [whom])
    return made


def instance(number: int) -> str:
    """The id of an installation."""
    return f"{number:032x}"


def _promotion(csr: bytes, seq: int, **changes: Any) -> PromoteRequest:
    return PromoteRequest(
        seq=max(seq, 1),
        epoch=1,
        certificate_request=CertificateRequest(type="pkcs10", data=strict_base64.encode(csr)),
        existing=UNPROVEN,
        instance_id="0" * 32,
        **changes,
    )
