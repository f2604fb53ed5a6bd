"""What a device believes, and the one code for each reason it does not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.trust import DEVICE, NOON, OTHER_DEVICE, OTHER_POLICY, OTHER_TENANT, POLICY, TENANT, policy_of

from shieldwall.contract import strict_json
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.ids import Digest
from shieldwall.contract.messages import Envelope, Manifest, ManifestItem
from shieldwall.contract.target import target_digest
from shieldwall.server.signer.in_process import InProcessSigner
from shieldwall.trust import moments, payload_types, strict_base64
from shieldwall.trust.device_key import DeviceKey
from shieldwall.trust.dsse import EnvelopeKey, seal
from shieldwall.trust.refusals import RefusedManifestError, RefusedPolicyError, RefusedTimeError
from shieldwall.trust.roots import Role, TrustRoot
from shieldwall.trust.verification import COUNTER_BITS, open_manifest, open_policy, open_time

KEY = DeviceKey.generate()
NONCE = "0123456789abcdef0123456789abcdef"
ITEM = ManifestItem(policy_id=POLICY, revision=1, digest=Digest("1" * 64), length=100)
OTHER_ITEM = ManifestItem(policy_id=OTHER_POLICY, revision=1, digest=Digest("2" * 64), length=100)


def manifest(signer: InProcessSigner, *items: ManifestItem) -> Envelope:
    return signer.sign_manifest(tenant_id=TENANT, device_id=DEVICE, device_key=KEY.thumbprint, items=items)


def forced(signer: InProcessSigner, envelope: Envelope, **members: Any) -> Envelope:
    """Sign what the signer never would: its own document with members changed."""
    role = Role(envelope.payload_type.split(".")[2])
    document = msgspec.json.decode(payload_of(envelope)) | members
    return seal(strict_json.encode(document), envelope.payload_type, signer.keys.roles[role])


def payload_of(envelope: Envelope) -> bytes:
    return msgspec.json.decode(f'"{envelope.payload}"', type=bytes)


def opened(
    envelope: Envelope,
    root: TrustRoot,
    *,
    last_version: int = 0,
    now: datetime = NOON,
) -> Manifest:
    return open_manifest(
        envelope,
        root,
        tenant_id=TENANT,
        device_id=DEVICE,
        device_key=KEY.thumbprint,
        last_version=last_version,
        now=now,
    )


def manifest_code(envelope: Envelope, root: TrustRoot, **arguments: Any) -> str:
    with pytest.raises(RefusedManifestError) as refused:
        opened(envelope, root, **arguments)
    return refused.value.code


def test_the_manifest_of_the_signer_is_believed(signer: InProcessSigner, root: TrustRoot) -> None:
    believed = opened(manifest(signer, OTHER_ITEM, ITEM), root)

    assert believed.items == (ITEM, OTHER_ITEM)
    assert believed.manifest_version >> COUNTER_BITS == root.incarnation


def test_a_manifest_without_items_is_believed(signer: InProcessSigner, root: TrustRoot) -> None:
    assert opened(manifest(signer), root).items == ()


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"tenantId": OTHER_TENANT}, "manifestTenant"),
        ({"incarnation": 0}, "manifestIncarnation"),
        ({"incarnation": 2}, "manifestIncarnation"),
        ({"manifestVersion": 1}, "manifestIncarnation"),
        ({"manifestVersion": 2 << COUNTER_BITS}, "manifestIncarnation"),
        ({"deviceId": OTHER_DEVICE}, "manifestDevice"),
        ({"deviceKey": "k" * 43}, "manifestKey"),
        ({"expires": moments.write(NOON)}, "manifestExpired"),
        ({"expires": moments.write(NOON - timedelta(days=1))}, "manifestExpired"),
        ({"expires": "never"}, "manifestMalformed"),
        ({"target": "0" * 64}, "manifestItems"),
        ({"items": []}, "manifestItems"),
        ({"extra": 1}, "manifestMalformed"),
        ({"items": None}, "manifestMalformed"),
        ({"manifestVersion": 2**53}, "manifestMalformed"),
        ({"manifestVersion": 1.0}, "manifestMalformed"),
        ({"manifestVersion": -1}, "manifestMalformed"),
        ({"deviceId": DEVICE.upper().replace("1", "A")}, "manifestMalformed"),
        ({"items": [msgspec.to_builtins(ITEM)] * 1001}, "manifestMalformed"),
    ],
    ids=str,
)
def test_a_manifest_for_somebody_or_something_else_is_refused_although_it_is_signed(
    signer: InProcessSigner, root: TrustRoot, members: dict[str, object], code: str
) -> None:
    assert manifest_code(forced(signer, manifest(signer, ITEM), **members), root) == code


def test_a_manifest_that_names_a_policy_twice_is_refused(signer: InProcessSigner, root: TrustRoot) -> None:
    twice = (ITEM, msgspec.structs.replace(ITEM, revision=2))
    document = {"items": msgspec.to_builtins(twice), "target": strict_json.digest_of(twice)}

    assert manifest_code(forced(signer, manifest(signer, ITEM), **document), root) == "manifestItems"


def test_only_a_newer_manifest_is_believed(signer: InProcessSigner, root: TrustRoot) -> None:
    first, second = manifest(signer, ITEM), manifest(signer, ITEM)
    held = opened(first, root).manifest_version

    assert manifest_code(first, root, last_version=held) == "manifestNotNewer"
    assert opened(second, root, last_version=held).manifest_version > held
    assert manifest_code(first, root, last_version=opened(second, root).manifest_version) == "manifestNotNewer"


def test_a_manifest_is_believed_until_it_expires(signer: InProcessSigner, root: TrustRoot) -> None:
    envelope = manifest(signer, ITEM)
    end = NOON + timedelta(days=7)

    assert opened(envelope, root, now=end - timedelta(seconds=1)).items == (ITEM,)
    assert manifest_code(envelope, root, now=end) == "manifestExpired"


def test_a_manifest_of_an_incarnation_left_behind_is_refused(signer: InProcessSigner, root: TrustRoot) -> None:
    later = msgspec.structs.replace(root, incarnation=2)

    assert manifest_code(manifest(signer, ITEM), later) == "manifestIncarnation"


@pytest.mark.parametrize("role", [Role.POLICY, Role.ONBOARDING, Role.TIME])
def test_no_other_role_signs_manifests(signer: InProcessSigner, root: TrustRoot, role: Role) -> None:
    payload = payload_of(manifest(signer, ITEM))

    assert manifest_code(seal(payload, payload_types.MANIFEST, signer.keys.roles[role]), root) == "manifestSignature"


def test_a_stranger_signs_nothing(signer: InProcessSigner, root: TrustRoot) -> None:
    stranger = EnvelopeKey.generate()

    assert manifest_code(seal(payload_of(manifest(signer)), payload_types.MANIFEST, stranger), root) == (
        "manifestSignature"
    )


def test_another_signed_document_is_no_manifest(signer: InProcessSigner, root: TrustRoot) -> None:
    assert manifest_code(signer.sign_time(NONCE), root) == "manifestType"


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b'{"a":1,"a":2}', b"[" * 9 + b"]" * 9, bytes(262_145), b"\xff"])
def test_signed_rubbish_is_no_manifest(signer: InProcessSigner, root: TrustRoot, payload: bytes) -> None:
    envelope = seal(payload, payload_types.MANIFEST, signer.keys.roles[Role.MANIFEST])

    assert manifest_code(envelope, root) == "manifestMalformed"


@given(data=st.data())
def test_no_bit_of_a_manifest_may_change(signer: InProcessSigner, root: TrustRoot, data: st.DataObject) -> None:
    envelope = manifest(signer, ITEM)
    payload = bytearray(payload_of(envelope))
    bit = data.draw(st.integers(min_value=0, max_value=len(payload) * 8 - 1))
    payload[bit // 8] ^= 1 << bit % 8
    changed = msgspec.structs.replace(envelope, payload=msgspec.json.encode(bytes(payload)).decode().strip('"'))

    assert manifest_code(changed, root) == "manifestSignature"


@pytest.fixture(scope="module")
def policy(signer: InProcessSigner) -> Envelope:
    return signer.sign_policy(strict_json.encode(policy_of(signer)))


def test_the_rules_of_a_tenant_are_part_of_what_is_signed_and_named(signer: InProcessSigner) -> None:
    rules = {ConflictFamily.ANTIVIRUS: ConflictRule.NOTHING}
    envelope = signer.sign_manifest(
        tenant_id=TENANT, device_id=DEVICE, device_key=KEY.thumbprint, items=[ITEM], conflict_rules=rules
    )
    payload = strict_json.decode(strict_base64.decode(envelope.payload), Manifest)

    assert payload.conflict_rules == rules
    assert payload.target == target_digest([ITEM], rules) != target_digest([ITEM])
    assert b"conflictRules" not in strict_base64.decode(manifest(signer, ITEM).payload)


def item_of(envelope: Envelope, **members: Any) -> ManifestItem:
    payload = payload_of(envelope)
    item = ManifestItem(policy_id=POLICY, revision=1, digest=strict_json.digest_of_bytes(payload), length=len(payload))
    return msgspec.structs.replace(item, **members)


def policy_code(envelope: Envelope, root: TrustRoot, item: ManifestItem) -> str:
    with pytest.raises(RefusedPolicyError) as refused:
        open_policy(envelope, root, item, TENANT)
    return refused.value.code


def test_the_policy_that_a_manifest_names_is_believed(
    signer: InProcessSigner, root: TrustRoot, policy: Envelope
) -> None:
    assert open_policy(policy, root, item_of(policy), TENANT) == policy_of(signer)


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"length": 2}, "policyLength"),
        ({"digest": Digest("0" * 64)}, "policyDigest"),
        ({"policy_id": OTHER_POLICY}, "policyIdentity"),
        ({"revision": 2}, "policyIdentity"),
    ],
    ids=str,
)
def test_another_policy_than_the_manifest_names_is_refused(
    root: TrustRoot, policy: Envelope, members: dict[str, object], code: str
) -> None:
    assert policy_code(policy, root, item_of(policy, **members)) == code


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"tenantId": OTHER_TENANT}, "policyTenant"),
        ({"policyId": OTHER_POLICY}, "policyIdentity"),
        ({"revision": 2}, "policyIdentity"),
        ({"revision": 0}, "policyMalformed"),
        ({"settings": [{"kind": "unheard"}]}, "policyMalformed"),
        ({"extra": 1}, "policyMalformed"),
    ],
    ids=str,
)
def test_a_wrong_policy_is_refused_although_it_is_signed(
    signer: InProcessSigner, root: TrustRoot, policy: Envelope, members: dict[str, object], code: str
) -> None:
    wrong = forced(signer, policy, **members)

    assert policy_code(wrong, root, item_of(wrong)) == code


@pytest.mark.parametrize("role", [Role.MANIFEST, Role.ONBOARDING, Role.TIME])
def test_no_other_role_signs_policies(signer: InProcessSigner, root: TrustRoot, policy: Envelope, role: Role) -> None:
    other = seal(payload_of(policy), payload_types.POLICY, signer.keys.roles[role])

    assert policy_code(other, root, item_of(other)) == "policySignature"


def test_another_signed_document_is_no_policy(signer: InProcessSigner, root: TrustRoot) -> None:
    envelope = manifest(signer, ITEM)

    assert policy_code(envelope, root, item_of(envelope)) == "policyType"


def test_a_policy_beyond_the_bound_is_refused(signer: InProcessSigner, root: TrustRoot) -> None:
    huge = seal(bytes(262_145), payload_types.POLICY, signer.keys.roles[Role.POLICY])

    assert policy_code(huge, root, ITEM) == "policyMalformed"


def test_signed_time_is_believed_for_the_question_asked(signer: InProcessSigner, root: TrustRoot) -> None:
    assert open_time(signer.sign_time(NONCE), root, tenant_id=TENANT, nonce=NONCE) == NOON


def test_signed_time_is_not_believed_for_another_question(signer: InProcessSigner, root: TrustRoot) -> None:
    envelope = signer.sign_time(NONCE)
    stranger = seal(payload_of(envelope), payload_types.TIME, EnvelopeKey.generate())

    for wrong, nonce in (
        (envelope, "f" * 32),
        (forced(signer, envelope, tenantId=OTHER_TENANT), NONCE),
        (forced(signer, envelope, time="noon"), NONCE),
        (forced(signer, envelope, extra=1), NONCE),
        (stranger, NONCE),
        (manifest(signer), NONCE),
    ):
        with pytest.raises(RefusedTimeError):
            open_time(wrong, root, tenant_id=TENANT, nonce=nonce)
