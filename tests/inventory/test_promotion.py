"""From synthetic to full: one device under its new id, with everything that hangs on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.gate import Gate
from tests.support.other_directory import Holder, OtherDirectory, a_key
from tests.support.samples import NOON, TENANT_ID, device_id

from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId
from shieldwall.contract.registration import (
    CertificateRequest,
    ExistingRegistrationProof,
    PromoteRequest,
    RegisterAnswer,
)
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.policy.protection import ProtectionSettings
from shieldwall.server.directory import assigned_members, groups, registrations
from shieldwall.server.directory.deletion import delete_device
from shieldwall.server.directory.devices import change_tags, set_enabled
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.directory.registration import DuplicateKeyError
from shieldwall.server.directory.registrations import (
    RegistrationDisabledError,
    RegistrationDraft,
    RegistrationInUseError,
)
from shieldwall.server.inventory.claims import Asked
from shieldwall.server.inventory.nonces import BadNonceError
from shieldwall.server.inventory.onboarding import read_certificate_request
from shieldwall.server.inventory.promotion import NotSyntheticError, Promotion
from shieldwall.server.storage.check_ins import check_ins, statuses
from shieldwall.server.storage.device_records import Registration, TrustType
from shieldwall.server.storage.devices import devices, identities, spent_keys
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tenants import protection
from shieldwall.trust import strict_base64
from shieldwall.trust.certificate_request import build_request
from shieldwall.trust.device_key import DeviceKey, public_key_info
from shieldwall.trust.key_proofs import BadExistingProofError

FULL = device_id(77)
NOTHING = ExistingRegistrationProof(certificate="", algorithm="ecdsa-p256-sha256", signature="")


@dataclass
class Laptop:
    """A device with a synthetic registration, and the full one that has appeared."""

    gate: Gate
    holder: Holder
    synthetic: DeviceId
    old_key: DeviceKey

    @property
    def promotion(self) -> Promotion:
        onboarding = self.gate.onboarding
        return Promotion(acting=self.gate.office.acting, signer=onboarding.signer, sealer=onboarding.sealer)

    def asks(
        self, *, key: DeviceKey | None = None, nonce: str | None = None, holder: Holder | None = None, **changes: Any
    ) -> Asked[PromoteRequest]:
        key, nonce = key or DeviceKey.generate(), nonce or self.gate.nonce()
        request = PromoteRequest(
            seq=1,
            epoch=1,
            certificate_request=CertificateRequest(type="pkcs10", data=strict_base64.encode(build_request(key, nonce))),
            existing=NOTHING,
            instance_id="0" * 32,
        )
        proof = (holder or self.holder).proof(
            request, tenant_id=TENANT_ID, nonce=nonce, spki=public_key_info(key.public_key)
        )
        request = strict_json.decode(
            strict_json.encode({**strict_json.decode_any(strict_json.encode(request)), "existing": proof, **changes}),
            PromoteRequest,
        )
        return Asked(
            request=request, certified=read_certificate_request(request), digest=strict_json.digest_of(request)
        )

    def promotes(self, asked: Asked[PromoteRequest]) -> RegisterAnswer:
        with self.gate.database.write() as connection:
            return self.promotion(connection, self.synthetic, asked)

    def refused(self, error: type[ShieldwallError], asked: Asked[PromoteRequest]) -> None:
        before = self.gate.device(self.synthetic)
        with pytest.raises(error):
            self.promotes(asked)
        assert self.gate.device(self.synthetic) == before


@pytest.fixture
def directory() -> OtherDirectory:
    return OtherDirectory(NOON)


@pytest.fixture
def laptop(gate: Gate, directory: OtherDirectory) -> Laptop:
    newcomer = gate.newcomer()
    answer = gate.receives(newcomer.asks(gate.nonce()))
    holder = directory.holder(FULL, key=a_key("rsa"))
    with gate.database.write() as connection:
        draft = RegistrationDraft(
            device_id=FULL, display_name="laptop", certificate=holder.presented, trust_type=TrustType.SERVER_AD
        )
        registrations.import_registration(connection, gate.office.acting, draft)
    return Laptop(gate=gate, holder=holder, synthetic=answer.device_id, old_key=newcomer.key)


def a_report() -> StatusReport:
    return StatusReport(settings=(SettingStatus(setting="s", state=SettingState.SUCCEEDED, provider="p"),))  # type: ignore[arg-type]  # a made-up setting


def test_everything_goes_along_and_nothing_stays_behind(laptop: Laptop) -> None:
    gate, acting = laptop.gate, laptop.gate.office.acting
    with gate.database.write() as connection:
        change_tags(connection, acting, laptop.synthetic, add=["web"])
        assigned = groups.create_group(connection, acting, GroupDraft(display_name="A", mail_nickname="a"))
        assigned_members.add_member(connection, acting, assigned.id, laptop.synthetic)
        synthetic_alone = groups.create_group(
            connection,
            acting,
            GroupDraft(display_name="S", mail_nickname="s", membership_rule="(device.deviceTrustType -eq null)"),
        )
        assert laptop.synthetic in group_members.member_ids(connection, synthetic_alone.id)
        digest = statuses.keep(connection, TENANT_ID, a_report())
        check_ins.set_status(connection, laptop.synthetic, digest, NOON)
        check_ins.set_facts(connection, laptop.synthetic, digest)
        alerts.raise_alert(
            connection,
            Alert(
                id=gate.office.new_id(),
                tenant_id=TENANT_ID,
                device_id=laptop.synthetic,
                kind="k",
                severity=Severity.LOW,
                title="t",
                details="{}",
                first_at=NOON,
                last_at=NOON,
            ),
        )
        before = check_ins.get(connection, laptop.synthetic)
    was, key = gate.device(laptop.synthetic), DeviceKey.generate()
    gate.office.told.clear()

    answer = laptop.promotes(laptop.asks(key=key))

    device = gate.device(FULL)
    assert (answer.device_id, answer.epoch, answer.certificate) == (FULL, before.epoch + 1, device.certificate)
    assert (device.registration, device.trust_type) == (Registration.FULL, "ServerAd")
    assert (device.key_thumbprint, device.tags, device.registered_at) == (
        key.thumbprint,
        ("MDE-Management", "web"),
        was.registered_at,
    )
    assert device.object_id != was.object_id
    with gate.database.read() as connection:
        after = check_ins.get(connection, FULL)
        assert (after.status_digest, after.facts_digest, after.status_at) == (digest, digest, NOON)
        assert (after.epoch, after.seq, after.request_digest) == (before.epoch + 1, 0, None)
        assert group_members.member_ids(connection, assigned.id) == {FULL}
        assert group_members.member_ids(connection, synthetic_alone.id) == set()
        assert [alert.device_id for alert in alerts.list_alerts(connection, TENANT_ID, Page())] == [FULL]
        assert devices.find(connection, laptop.synthetic) is None
        assert [each.id for each in devices.list_devices(connection, TENANT_ID, Page())] == [FULL]
        assert statuses.find(connection, TENANT_ID, digest) == a_report()
        spent = spent_keys.find(connection, laptop.old_key.thumbprint)
        assert spent is not None
        assert (spent.reason, spent.device_id) == ("promoted", laptop.synthetic)
        trail = [event for event in gate.office.trail(connection) if event.activity.startswith("device.promoted")]
    assert [(event.activity, event.object_id) for event in trail] == [
        ("device.promoted", laptop.synthetic),
        ("device.promotedFrom", FULL),
    ]
    assert FULL in trail[0].details
    assert FULL in gate.office.told[-1]


def test_a_lost_answer_is_given_again_to_the_key_that_was_given_up(laptop: Laptop) -> None:
    asked = laptop.asks()
    answer = laptop.promotes(asked)

    with laptop.gate.database.read() as connection:
        again = laptop.promotion.repeated(connection, laptop.old_key.thumbprint, asked)
        other = laptop.promotion.repeated(connection, laptop.old_key.thumbprint, laptop.asks())
        stranger = laptop.promotion.repeated(connection, DeviceKey.generate().thumbprint, asked)
        identity = identities.find_by_keys(connection, [laptop.old_key.thumbprint]).get(laptop.old_key.thumbprint)
    assert again == answer
    assert (other, stranger) == (None, None)
    assert identity is not None
    assert identity.id == laptop.synthetic


def test_what_may_not_be_is_refused_and_nothing_moves(laptop: Laptop, directory: OtherDirectory) -> None:
    gate = laptop.gate
    taken = gate.newcomer()
    gate.receives(taken.asks(gate.nonce()))
    used = gate.nonce()
    gate.receives(gate.newcomer().asks(used))
    swapped = laptop.asks()
    borrowed = laptop.asks(existing=swapped.request.existing)

    laptop.refused(BadExistingProofError, laptop.asks(holder=Holder(a_key(), laptop.holder.certificate)))
    laptop.refused(BadExistingProofError, borrowed)
    laptop.refused(BadExistingProofError, laptop.asks(instanceId="1" * 32))
    laptop.refused(DuplicateKeyError, laptop.asks(key=taken.key))
    laptop.refused(DuplicateKeyError, laptop.asks(key=laptop.old_key))
    laptop.refused(BadNonceError, laptop.asks(nonce=used))
    laptop.refused(BadNonceError, laptop.asks(nonce="made-up"))

    another = directory.holder(device_id(78))
    with gate.database.write() as connection:
        draft = RegistrationDraft(device_id=device_id(78), display_name="x", certificate=another.presented)
        registrations.import_registration(connection, gate.office.acting, draft)
    gate.receives(gate.newcomer().asks(gate.nonce(), existing=another))
    laptop.refused(RegistrationInUseError, laptop.asks(holder=another))

    with gate.database.write() as connection:
        found = registrations.get_registration(connection, TENANT_ID, FULL)
        registrations.change_registration(connection, gate.office.acting, found, is_enabled=False)
    laptop.refused(RegistrationDisabledError, laptop.asks())


def test_only_an_active_synthetic_device_is_promoted(laptop: Laptop) -> None:
    with laptop.gate.database.write() as connection:
        set_enabled(connection, laptop.gate.office.acting, laptop.synthetic, enabled=False)
    laptop.refused(NotSyntheticError, laptop.asks())
    with laptop.gate.database.write() as connection:
        set_enabled(connection, laptop.gate.office.acting, laptop.synthetic, enabled=True)
    laptop.promotes(laptop.asks())
    full = Laptop(gate=laptop.gate, holder=laptop.holder, synthetic=FULL, old_key=laptop.old_key)
    full.refused(NotSyntheticError, full.asks())


def test_who_is_excepted_from_protection_stays_so_under_the_new_name_and_nobody_inherits_it(laptop: Laptop) -> None:
    gate = laptop.gate

    def excluded() -> tuple[DeviceId, ...]:
        with gate.database.read() as connection:
            return protection.settings(connection, TENANT_ID).excluded

    with gate.database.write() as connection:
        wanted = ProtectionSettings(enabled=True, excluded=(laptop.synthetic,))
        protection.put_settings(connection, TENANT_ID, wanted)
    laptop.promotes(laptop.asks())
    assert excluded() == (FULL,)

    with gate.database.write() as connection:
        delete_device(connection, gate.office.acting, FULL)
    assert excluded() == (), "or the next device of this registration would be as unprotected"
