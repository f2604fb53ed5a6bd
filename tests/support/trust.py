"""A tenant, its clock and its signer, for tests of whatever has to be believed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shieldwall.contract.ids import DeviceId, PackageId, PolicyId, SettingId, TemplateId, TenantId
from shieldwall.contract.settings import PolicyDocument, SimpleSetting, SimpleValue
from shieldwall.server.signer.ports import Signer
from shieldwall.trust import moments, strict_base64
from shieldwall.trust.onboarding import OnboardingKey, OnboardingPackage
from shieldwall.trust.roots import TrustRoot

TENANT = TenantId("3f2b8c1e-6f0a-4f7e-9d0c-0a1b2c3d4e5f")
OTHER_TENANT = TenantId("99999999-6f0a-4f7e-9d0c-0a1b2c3d4e5f")
DEVICE = DeviceId("11111111-1111-4111-8111-111111111111")
OTHER_DEVICE = DeviceId("22222222-2222-4222-8222-222222222222")
POLICY = PolicyId("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa")
OTHER_POLICY = PolicyId("bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb")
PACKAGE = PackageId("cccccccc-cccc-4ccc-8ccc-cccccccccccc")
NOON = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
SECRET = bytes(range(32))


@dataclass
class HandClock:
    """A clock set by hand."""

    moment: datetime = NOON

    def now(self) -> datetime:
        """Return the moment it was set to."""
        return self.moment

    def forward(self, **by: float) -> None:
        """Move on."""
        self.moment += timedelta(**by)


def package_of(root: TrustRoot, **changes: object) -> OnboardingPackage:
    """Return a sound package for a trust root, valid for thirty days around noon, with some members changed."""
    members: dict[str, object] = {
        "tenant_id": root.tenant_id,
        "package_id": PACKAGE,
        "server_urls": ("https://sdm.example:8444",),
        "trust_root": root,
        "onboarding_key": OnboardingKey(kid="first", k=strict_base64.encode_url(SECRET)),
        "not_before": moments.write(NOON - timedelta(days=1)),
        "not_after": moments.write(NOON + timedelta(days=29)),
    }
    return OnboardingPackage(**(members | changes))  # type: ignore[arg-type]  # tests also try wrong members


def policy_of(signer: Signer, *, revision: int = 1, policy_id: PolicyId = POLICY, value: int = 1) -> PolicyDocument:
    """Return a small policy of the signer's tenant."""
    return PolicyDocument(
        tenant_id=signer.trust_root().tenant_id,
        policy_id=policy_id,
        revision=revision,
        name="Antivirus",
        platforms="linux",
        technologies="microsoftSense",
        template_id=TemplateId("4cfd164c-5e8a-4ea9-b15d-9aa71e4ffff4_1"),
        modified_at=moments.write(NOON),
        catalog_version="1",
        settings=(
            SimpleSetting(
                definition=SettingId("linux_mdatp_managed_antivirusengine_maximumondemandscanthreads"),
                value=SimpleValue(kind="integer", value=value),
            ),
        ),
    )
