"""The pages of alerts: asked for by what they are about, gone through page by page, one with its evidence, closed."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from tests.portal.test_pages import text_of
from tests.portal.test_scope import fields_of
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.people import a_person, browser
from tests.support.samples import TENANT_ID, counted_id, device_id

from shieldwall.contract import strict_json
from shieldwall.contract.messages import TamperAttempt
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity

HOSTILE = "<img src=x onerror=alert(1)>"


def raised(world: AdminWorld, number: int, **changes: Any) -> str:
    """An alert, the later the lower its number."""
    at = world.clock.now() - timedelta(minutes=number)
    fields: dict[str, Any] = {
        "id": counted_id("7", number),
        "tenant_id": TENANT_ID,
        "device_id": None,
        "kind": "packageRefused",
        "severity": Severity.LOW,
        "title": f"Something {number} happened",
        "details": "{}",
        "first_at": at,
        "last_at": at,
    }
    alert = Alert(**(fields | changes))
    with world.writing() as connection:
        alerts.raise_alert(connection, alert)
    return alert.id


def shown(client: Client, query: str = "") -> list[str]:
    page = client.get(f"/alerts{query}")
    assert page.status_code == 200
    return re.findall(r'<th scope="row"><a href="/alerts/([0-9a-f-]{36})"', page.text)


@pytest.fixture
def laptop(world: AdminWorld) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 1, display_name=HOSTILE)


@pytest.mark.usefixtures("laptop")
def test_alerts_are_asked_for_by_what_they_are_about(world: AdminWorld, ada: Client) -> None:
    tampering = raised(world, 1, kind="tamper.settingChanged", severity=Severity.HIGH, device_id=device_id(1))
    package = raised(world, 2, title="100%_sure")
    done = raised(world, 3)
    with world.writing() as connection:
        assert alerts.resolve(connection, done, by="person:Ada", at=world.clock.now())

    assert shown(ada) == [tampering, package], "open ones, the newest first"
    assert shown(ada, "?state=resolved") == [done]
    assert shown(ada, "?state=all") == [tampering, package, done]
    assert shown(ada, "?severity=high") == [tampering]
    assert shown(ada, "?area=tamper") == [tampering]
    assert shown(ada, "?area=packageRefused&state=all") == [package, done]
    assert shown(ada, f"?device={device_id(1)}") == [tampering]
    assert shown(ada, "?search=100%25_SURE") == [package]
    assert shown(ada, "?search=1__%25") == [], "what is typed is no pattern"
    assert shown(ada, "?severity=x&area=x&state=x&device=x") == [tampering, package], "what nobody knows is not asked"
    assert "1 alert fits" in text_of(ada.get("/alerts?severity=high").text)
    assert "No alert fits what you asked for." in text_of(ada.get("/alerts?severity=medium").text)


def test_every_alert_comes_once_however_many_there_are(world: AdminWorld, ada: Client) -> None:
    wanted = [raised(world, number) for number in range(1, 61)]
    same = world.clock.now() - timedelta(hours=3)
    wanted += [raised(world, number, first_at=same, last_at=same) for number in range(61, 121)]
    seen: list[str] = []
    path: str | None = "/alerts?severity=low"
    while path:
        page = ada.get(path).text
        seen += re.findall(r'<th scope="row"><a href="/alerts/([0-9a-f-]{36})"', page)
        following = re.search(r'href="(\?[^"]*after=[^"]+)"', page)
        path = f"/alerts{following[1].replace('&amp;', '&')}" if following else None
    assert seen == wanted


@pytest.mark.usefixtures("laptop")
def test_one_alert_shows_its_evidence_as_plain_text_and_what_to_do(world: AdminWorld, ada: Client) -> None:
    attempt = TamperAttempt(at="2026-11-23T12:00:00Z", kind="settingChanged", subject=HOSTILE)
    details = strict_json.encode({"attempts": [attempt], "note": {"file": HOSTILE}, "others": [1, 2]}).decode()
    alert = raised(world, 1, kind="tamper.settingChanged", device_id=device_id(1), details=details, title=HOSTILE)
    page = ada.get(f"/alerts/{alert}").text
    assert HOSTILE not in page
    assert HOSTILE not in ada.get("/alerts").text
    words = text_of(page)
    assert "Ask who is at the device." in words
    assert "note: file" in words
    assert "others 1; 2" in words
    assert f'href="/devices/{device_id(1)}"' in page
    assert ada.get(f"/alerts/{counted_id('7', 9)}").status_code == 404


def test_an_alert_of_a_kind_that_nobody_knows_yet_can_be_read(world: AdminWorld, ada: Client) -> None:
    alert = raised(world, 1, kind="weather.rain", details='[1, "x"]')
    assert "find out whether it was meant to happen" in text_of(ada.get(f"/alerts/{alert}").text)
    assert shown(ada) == [alert]


def test_closing_an_alert_leads_back_to_the_list_and_nowhere_else(world: AdminWorld, ada: Client) -> None:
    first, second, third = (raised(world, number) for number in (1, 2, 3))
    form = fields_of(ada.get("/alerts?severity=low").text, f"/alerts/{first}/resolve")
    for alert, back, leads in (
        (first, form["back"], "/alerts?severity=low"),
        (second, "https://evil.example/alerts", "/alerts"),
        (third, "//evil.example", "/alerts"),
    ):
        fields = {"csrf": form["csrf"], "back": back}
        answer = ada.post(f"/alerts/{alert}/resolve", data=fields, headers={"Origin": PUBLIC_URL})
        assert answer.status_code == 303
        assert answer.headers["location"] == leads
    assert shown(ada) == []
    said = text_of(ada.get(f"/alerts/{first}").text)
    assert "Resolved just now by person:ada@contoso.example" in said
    assert "Nothing needs to be looked at." in text_of(ada.get("/alerts").text)


@pytest.mark.usefixtures("laptop")
def test_somebody_who_sees_no_device_sees_no_alert(world: AdminWorld) -> None:
    alert = raised(world, 1, device_id=device_id(1))
    with closing(browser(world, a_person(world, tags=["7"]))) as client:
        assert shown(client, "?state=all") == []
        assert client.get(f"/alerts/{alert}").status_code in {403, 404}
