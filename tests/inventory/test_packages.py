from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.office import Office
from tests.support.samples import NOON, TENANT_ID, a_package, a_tenant, counted_id, package_id

from shieldwall.contract import strict_json
from shieldwall.contract.ids import TenantId
from shieldwall.server.inventory import packages
from shieldwall.server.inventory.packages import InvalidPackageDraftError, PackageDraft, ServerAddress
from shieldwall.server.signer.service import SignerService
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.onboarding import packages as package_store
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.tenants import tenants
from shieldwall.trust.onboarding import PackageExpiredError, open_package

ADDRESS = ServerAddress(urls=("https://localhost:8444",))
DRAFT = PackageDraft(display_name="Servers", max_uses=7, platforms=("windows", "linux"), tags=("b", "a"))


def test_a_device_believes_the_package_and_finds_in_it_what_was_kept(
    tenant_database: Database, office: Office, signer: SignerService
) -> None:
    with tenant_database.write() as connection:
        record, envelope = packages.create_package(connection, office.acting, signer, DRAFT, ADDRESS)
    with tenant_database.read() as connection:
        assert packages.get_package(connection, TENANT_ID, record.id) == record
        assert packages.list_packages(connection, TENANT_ID, Page()) == (record,)
        assert office.trail(connection)[0].activity == "package.created"
        assert "onboardingKey" not in office.trail(connection)[0].details

    opened = open_package(strict_json.encode(envelope), NOON, tenant_id=TENANT_ID)
    assert opened.onboarding_key.secret() == record.key
    assert (opened.package_id, opened.server_urls, opened.max_uses) == (record.id, ADDRESS.urls, 7)
    assert (opened.allowed_platforms, opened.tags) == (("linux", "windows"), ("a", "b"))
    assert opened.trust_root == signer.trust_root()
    with pytest.raises(PackageExpiredError):
        open_package(strict_json.encode(envelope), record.not_after)


def test_a_device_whose_clock_lags_a_little_finds_a_new_package_valid(
    tenant_database: Database, office: Office, signer: SignerService
) -> None:
    with tenant_database.write() as connection:
        _, envelope = packages.create_package(connection, office.acting, signer, DRAFT, ADDRESS)
    open_package(strict_json.encode(envelope), NOON - timedelta(minutes=5))


def test_the_longest_package_is_sealed_too(tenant_database: Database, office: Office, signer: SignerService) -> None:
    draft = PackageDraft(display_name="Long", lifetime=timedelta(days=90))
    with tenant_database.write() as connection:
        record, _ = packages.create_package(connection, office.acting, signer, draft, ADDRESS)
    assert record.not_after == NOON + timedelta(days=90)


def test_every_package_has_a_key_of_its_own(tenant_database: Database, office: Office, signer: SignerService) -> None:
    with tenant_database.write() as connection:
        made = [packages.create_package(connection, office.acting, signer, DRAFT, ADDRESS)[0] for _ in range(3)]
    assert len({record.key for record in made}) == 3


def test_an_address_that_no_device_would_accept_makes_no_package(
    tenant_database: Database, office: Office, signer: SignerService
) -> None:
    plain = ServerAddress(urls=("http://localhost:8444",))
    with tenant_database.write() as connection:
        with pytest.raises(InvalidPackageDraftError):
            packages.create_package(connection, office.acting, signer, DRAFT, plain)
        assert packages.list_packages(connection, TENANT_ID, Page()) == ()


def test_a_package_is_revoked_once(tenant_database: Database, office: Office) -> None:
    with tenant_database.write() as connection:
        package_store.add(connection, a_package(1))
        packages.revoke_package(connection, office.acting, package_id(1))
        packages.revoke_package(connection, office.acting, package_id(1))
        assert packages.get_package(connection, TENANT_ID, package_id(1)).revoked_at == NOON
        assert [event.activity for event in office.trail(connection)] == ["package.revoked"]


def test_a_package_of_another_tenant_is_not_there(tenant_database: Database, office: Office) -> None:
    other = TenantId(counted_id("1", 1))
    with tenant_database.write() as connection:
        tenants.add(connection, a_tenant(id=other, domain="other.example"))
        package_store.add(connection, a_package(1, tenant_id=other))
        with pytest.raises(NotFoundError):
            packages.revoke_package(connection, office.acting, package_id(1))
        assert package_store.get(connection, package_id(1)).revoked_at is None


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"display_name": " "}, "displayName"),
        ({"lifetime": timedelta(seconds=59)}, "lifetime"),
        ({"lifetime": timedelta(days=90, seconds=1)}, "lifetime"),
        ({"max_uses": 0}, "maxUses"),
        ({"max_uses": 1_000_001}, "maxUses"),
        ({"platforms": ()}, "platforms"),
        ({"platforms": ("amiga",)}, "platforms"),
        ({"tags": ("",)}, "tags"),
        ({"tags": ("a\0b",)}, "tags"),
        ({"tags": tuple(map(str, range(17)))}, "tags"),
    ],
)
def test_a_package_that_cannot_be_is_refused(changes: dict[str, object], member: str) -> None:
    with pytest.raises(InvalidPackageDraftError) as refused:
        PackageDraft(**({"display_name": "p"} | changes))  # type: ignore[arg-type]  # wrong on purpose
    assert refused.value.member == member
