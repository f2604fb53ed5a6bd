"""The page of all tenants: for whom it was said in the invitation, in the server's own tenant alone."""

from __future__ import annotations

from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.samples import a_tenant, counted_id

from shieldwall.contract.ids import TenantId
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import administrators
from shieldwall.server.storage.tenants import tenants


def enter(client: Client, services: AdminServices, *, sees_tenants: bool) -> None:
    with services.database.write() as connection:
        code = administrators.invite(
            connection, services.acting("console"), display_name="Ada", sees_tenants=sees_tenants
        )
    assert client.post("/sign-in", data={"code": code}, headers={"Origin": PUBLIC_URL}).status_code == 303


def test_the_page_shows_every_tenant_in_numbers(world: AdminWorld, client: Client) -> None:
    enter(client, world.services, sees_tenants=True)

    page = client.get("/tenants")

    assert page.status_code == 200
    for shown in ("Contoso", "Fabrikam", "fabrikam.test"):
        assert shown in page.text
    assert "device-1" not in page.text
    assert '<a href="/tenants"' in client.get("/").text


def test_who_was_not_invited_to_see_it_does_not(world: AdminWorld, client: Client) -> None:
    enter(client, world.services, sees_tenants=False)

    assert client.get("/tenants").status_code == 403
    assert "/tenants" not in client.get("/").text


def test_an_invitation_of_another_tenant_never_shows_it(world: AdminWorld, client: Client) -> None:
    adatum = a_tenant(id=TenantId(counted_id("9", 1)), domain="adatum.example", display_name="Adatum")
    with world.writing() as connection:
        tenants.add(connection, adatum)
    enter(client, world.services.of(adatum), sees_tenants=True)

    assert client.get("/tenants").status_code == 403
    assert "/tenants" not in client.get("/").text


def test_nobody_sees_it_without_signing_in(client: Client) -> None:
    assert client.get("/tenants").headers["location"] == "/sign-in?return=/tenants"
