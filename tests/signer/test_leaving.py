"""What the signer signs about protection and about leaving, the same over a socket and in process."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from tests.signer.test_service import ITEM, any_signer
from tests.support.trust import DEVICE, NOON, OTHER_TENANT, PACKAGE, TENANT

from shieldwall.contract import strict_json
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.enrollment import EnrollmentCode
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.messages import Manifest, Protection
from shieldwall.contract.target import ORDER_TO_LEAVE, target_digest
from shieldwall.server.signer.errors import OtherTenantError, UnsignableDocumentError
from shieldwall.server.signer.ports import Signer
from shieldwall.trust import moments
from shieldwall.trust.device_key import DeviceKey
from shieldwall.trust.offboarding import OffboardingPackage, open_offboarding
from shieldwall.trust.verification import open_manifest

__all__ = ["any_signer"]
KEY = DeviceKey.generate().thumbprint
PROTECTED = Protection(tamper=True, troubleshooting_until="2026-11-23T16:00:00Z")


def signed(signer: Signer, **members: Any) -> Manifest:
    envelope = signer.sign_manifest(
        **({"tenant_id": TENANT, "device_id": DEVICE, "device_key": KEY, "items": ()} | members)
    )
    return open_manifest(
        envelope,
        signer.trust_root(),
        tenant_id=TENANT,
        device_id=DEVICE,
        device_key=KEY,
        last_version=0,
        now=NOON,
    )


def a_package(**changes: Any) -> OffboardingPackage:
    members: dict[str, Any] = {
        "v": 1,
        "tenant_id": TENANT,
        "package_id": PACKAGE,
        "not_before": moments.write(NOON - timedelta(minutes=5)),
        "not_after": moments.write(NOON + timedelta(days=7)),
        "platforms": ("linux",),
    }
    return OffboardingPackage(**(members | changes))


@pytest.mark.parametrize("code", [2, EnrollmentCode.TENANT_SWITCH_OFF])
def test_the_enrollment_is_part_of_what_is_signed(any_signer: Signer, code: int) -> None:
    manifest = signed(any_signer, enrollment=code)

    assert (manifest.enrollment, manifest.items) == (code, ())
    assert manifest.target == target_digest((), enrollment=code) != signed(any_signer).target
    assert signed(any_signer).enrollment == 1


@pytest.mark.parametrize(
    "members",
    [
        {"enrollment": 2, "items": (ITEM,)},
        {"enrollment": 2, "protection": Protection(tamper=True)},
        {"enrollment": 2, "offboard": True},
        {"enrollment": 256},
        {"enrollment": -1},
    ],
)
def test_an_enrollment_that_makes_no_sense_is_not_signed(any_signer: Signer, members: dict[str, Any]) -> None:
    with pytest.raises(ShieldwallError):
        signed(any_signer, **members)


def test_protection_is_part_of_what_is_signed(any_signer: Signer) -> None:
    manifest = signed(any_signer, items=(ITEM,), protection=PROTECTED)

    assert manifest.protection == PROTECTED
    assert manifest.target != signed(any_signer, items=(ITEM,)).target


def test_the_order_to_leave_is_one_target_for_every_device(any_signer: Signer) -> None:
    manifest = signed(any_signer, offboard=True)

    assert manifest.offboard
    assert manifest.target == ORDER_TO_LEAVE
    assert manifest.items == ()


@pytest.mark.parametrize(
    "beside",
    [
        {"items": (ITEM,)},
        {"protection": Protection(tamper=True)},
        {"conflict_rules": {ConflictFamily.ANTIVIRUS: ConflictRule.PRIORITY}},
    ],
)
def test_an_order_that_wants_something_enforced_is_not_signed(any_signer: Signer, beside: dict[str, Any]) -> None:
    with pytest.raises(UnsignableDocumentError):
        signed(any_signer, offboard=True, **beside)


def test_an_offboarding_package_is_sealed_so_that_a_device_opens_it(any_signer: Signer) -> None:
    package = a_package(device_ids=(DEVICE,))
    file = strict_json.encode(any_signer.seal_offboarding(package))

    opened = open_offboarding(
        file, any_signer.trust_root(), tenant_id=TENANT, device_id=DEVICE, platform="linux", now=NOON
    )

    assert opened == package


def test_a_package_of_another_tenant_or_of_the_past_is_not_sealed(any_signer: Signer) -> None:
    with pytest.raises(OtherTenantError):
        any_signer.seal_offboarding(a_package(tenant_id=OTHER_TENANT))
    past = {"not_before": moments.write(NOON - timedelta(days=7)), "not_after": moments.write(NOON)}
    with pytest.raises(UnsignableDocumentError):
        any_signer.seal_offboarding(a_package(**past))


@pytest.mark.parametrize("days", [-1, 0, 31])
def test_no_package_lives_longer_than_it_may(days: int) -> None:
    members = msgspec.to_builtins(a_package()) | {"notAfter": moments.write(NOON + timedelta(days=days))}

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(members | {"notBefore": moments.write(NOON)}, OffboardingPackage)
