"""What an attacker meets, in the browser and on the wire."""

from __future__ import annotations

import hashlib
import re

import httpx
import pytest
from litestar import get
from tests.support.admin import AUTHORITY, PUBLIC_URL, AdminWorld, Client
from tests.support.samples import a_device, a_group, a_tenant, device_id
from tests.support.sent_forms import form_to

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.access.authorization import Authorization, UndeclaredRouteError
from shieldwall.server.admin_application import create_admin_application
from shieldwall.server.directory import administrators
from shieldwall.server.portal import app as portal
from shieldwall.server.portal.assets import load_assets
from shieldwall.server.portal.rendering import load_templates
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.tenants import tenants

COOKIE = "__Host-shieldwall"
OTHER_TENANT = TenantId("00000000-0000-4000-8000-00000000000b")
PRIVATE = (
    "/",
    "/devices",
    f"/devices/{device_id(1)}",
    "/policies",
    f"/policies/{device_id(1)}",
    "/groups",
    "/packages",
    "/packages/new",
    "/offboarding-packages",
    "/registrations",
    "/authorities",
    "/clean-up",
    f"/devices/{device_id(1)}/delete",
    f"/groups/{device_id(1)}/rule",
)
ORIGIN = {"Origin": PUBLIC_URL}
FEDERATED = ("/sign-in/federated/callback", "/sign-in/federated/{provider_id:str}", "/sign-in/finish")


def token_of(client: Client) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get("/groups").text)
    assert found
    return found[1]


def session(client: Client) -> str:
    return client.cookies[COOKIE]


def is_signed_in(client: httpx.Client) -> bool:
    return client.get("/groups").status_code == 200


def device_of(world: AdminWorld, **changes: object) -> DeviceId:
    with world.writing() as connection:
        return world.manager.join(connection, 1, **changes)


# Who gets in


@pytest.mark.parametrize("path", PRIVATE)
def test_every_page_sends_strangers_to_the_sign_in_page(client: Client, path: str) -> None:
    answer = client.get(path)

    there = "/sign-in" if path == "/" else f"/sign-in?return={path}"
    assert (answer.status_code, answer.headers["location"]) == (303, there)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content == b""


def test_whoever_signs_in_again_is_where_they_wanted_to_be(client: Client) -> None:
    there = client.get("/devices?state=pending&search=a b", headers={"Accept": "text/html"}).headers["location"]
    page = client.get(there).text
    (wanted,) = form_to(page, "/sign-in").values("return")

    assert there == "/sign-in?return=/devices%3Fstate%3Dpending%26search%3Da%2520b"
    assert wanted == "/devices?state=pending&search=a%20b"
    assert client.get("//evil.example/x").headers.get("location", "/sign-in").startswith("/sign-in")
    assert "evil" not in client.get("//evil.example/x").headers.get("location", "")


def test_asking_for_the_methods_of_a_page_is_answered_and_tells_nothing_else(client: Client) -> None:
    answer = client.options("/devices")

    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    "path", [f"/devices/{device_id(1)}/sync", f"/devices/{device_id(1)}/delete", "/packages", "/sign-out"]
)
def test_strangers_change_nothing(client: Client, path: str) -> None:
    assert client.post(path, headers=ORIGIN).headers["location"] == "/sign-in"


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "é".encode(), "A" * 4000, "a;b", "%00"])
def test_a_made_up_cookie_opens_nothing(client: Client, token: str | bytes) -> None:
    value = token if isinstance(token, bytes) else token.encode()

    assert client.get("/groups", headers={b"Cookie": COOKIE.encode() + b"=" + value}).status_code == 303


def test_looking_at_a_link_does_not_use_it_up(world: AdminWorld, client: Client) -> None:
    code = world.invite()

    for _ in range(3):
        page = client.get("/sign-in", params={"code": code})
        assert page.status_code == 200
        assert "set-cookie" not in page.headers
    assert client.post("/sign-in", data={"code": code}, headers=ORIGIN).status_code == 303


def test_a_code_lets_in_once(world: AdminWorld) -> None:
    code = world.invite()
    with world.client() as first, world.client() as second:
        assert first.post("/sign-in", data={"code": code}, headers=ORIGIN).status_code == 303
        refused = second.post("/sign-in", data={"code": code}, headers=ORIGIN)

        assert refused.status_code == 403
        assert "set-cookie" not in refused.headers
        assert is_signed_in(first)
        assert not is_signed_in(second)


def test_a_code_is_good_for_a_quarter_of_an_hour(world: AdminWorld, client: Client) -> None:
    code = world.invite()
    world.clock.advance(minutes=15)

    assert client.post("/sign-in", data={"code": code}, headers=ORIGIN).status_code == 403


def test_a_code_lets_into_its_own_tenant_and_shows_nothing_of_others(world: AdminWorld, client: Client) -> None:
    with world.writing() as connection:
        theirs = a_tenant(id=OTHER_TENANT, domain="other.example", display_name="Fabrikam")
        tenants.add(connection, theirs)
        code = administrators.invite(connection, world.services.of(theirs).acting("console"), display_name="Eve")
        devices.add(connection, a_device(1, display_name="our-device"))
        check_ins.add(connection, device_id(1))
        devices.add(connection, a_device(5, tenant_id=OTHER_TENANT, display_name="their-device"))
        check_ins.add(connection, device_id(5))

    assert client.post("/sign-in", data={"code": code}, headers=ORIGIN).status_code == 303

    page = client.get("/devices")
    assert "Fabrikam" in page.text
    assert "their-device" in page.text
    assert "Contoso" not in page.text
    assert "our-device" not in page.text
    assert client.get(f"/devices/{device_id(1)}").status_code == 404
    synced = client.post(f"/devices/{device_id(1)}/sync", data={"csrf": token_of(client)}, headers=ORIGIN)
    assert synced.status_code == 404


@pytest.mark.parametrize("code", ["", "x", "A" * 43, "\x00", "é" * 100, "A" * 100_000])
def test_a_made_up_code_lets_nobody_in(client: Client, code: str) -> None:
    answer = client.post("/sign-in", data={"code": code}, headers=ORIGIN)

    assert answer.status_code == 403
    assert "not valid any more" in answer.text


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(world: AdminWorld, client: Client) -> None:
    cookie = client.post("/sign-in", data={"code": world.invite()}, headers=ORIGIN).headers["set-cookie"]

    name, *flags = [part.strip() for part in cookie.split(";")]
    assert re.fullmatch(rf"{COOKIE}=[A-Za-z0-9_-]{{43}}", name)
    assert {flag.lower() for flag in flags} == {"httponly", "secure", "samesite=strict", "path=/", "max-age=28800"}


def test_a_sign_in_always_begins_a_new_session_and_ends_the_one_before(world: AdminWorld, ada: Client) -> None:
    before = session(ada)

    world.sign_in(ada, "Bea")

    assert session(ada) != before
    assert "Bea" in ada.get("/groups").text
    with world.client() as thief:
        thief.cookies.set(COOKIE, before)
        assert not is_signed_in(thief)


def test_a_session_planted_before_the_sign_in_is_not_taken_over(world: AdminWorld, client: Client) -> None:
    client.cookies.set(COOKIE, "planted", domain="localhost.local")
    world.sign_in(client)

    with world.client() as attacker:
        attacker.cookies.set(COOKIE, "planted")
        assert not is_signed_in(attacker)


def test_after_sign_out_the_cookie_is_gone_and_worth_nothing(world: AdminWorld, ada: Client) -> None:
    stolen = session(ada)

    answer = ada.post("/sign-out", data={"csrf": token_of(ada)}, headers=ORIGIN)

    assert answer.headers["location"] == "/sign-in"
    assert COOKIE not in ada.cookies
    with world.client() as thief:
        thief.cookies.set(COOKIE, stolen)
        assert not is_signed_in(thief)


def test_a_session_ends_after_a_quarter_of_an_hour_of_idleness(world: AdminWorld, ada: Client) -> None:
    world.clock.advance(minutes=14, seconds=59)
    assert is_signed_in(ada)
    world.clock.advance(minutes=14, seconds=59)
    assert is_signed_in(ada)
    world.clock.advance(minutes=15)
    assert not is_signed_in(ada)


def test_a_page_left_open_does_not_keep_its_session_alive(world: AdminWorld, ada: Client) -> None:
    for _ in range(14):
        world.clock.advance(minutes=1)
        assert ada.get("/devices", headers={"X-Requested-For": "refresh"}).status_code == 200
    world.clock.advance(minutes=1)

    assert ada.get("/devices", headers={"X-Requested-For": "refresh"}).status_code == 303


def test_a_session_ends_after_eight_hours_in_any_case(world: AdminWorld, ada: Client) -> None:
    for _ in range(8 * 6 - 1):
        world.clock.advance(minutes=10)
        assert is_signed_in(ada)
    world.clock.advance(minutes=10)

    assert not is_signed_in(ada)


# Forged forms


FORGED = (
    (PUBLIC_URL, None),
    (PUBLIC_URL, ""),
    (PUBLIC_URL, "0" * 64),
    (PUBLIC_URL, "é"),
    (None, "own"),
    ("null", "own"),
    ("https://evil.example", "own"),
    (f"{PUBLIC_URL}.evil.example", "own"),
    ("http://localhost:8443", "own"),
    ("https://localhost", "own"),
    ("https://LOCALHOST:8443", "own"),
)


@pytest.mark.parametrize(
    "path", [f"/devices/{device_id(1)}/sync", f"/devices/{device_id(1)}/delete", "/packages", "/sign-out"]
)
def test_a_forged_form_is_refused(world: AdminWorld, ada: Client, path: str) -> None:
    device = device_of(world)
    with world.writing() as connection:
        check_ins.clear_sync(connection, device)
    for origin, token in FORGED:
        form = {} if token is None else {"csrf": token_of(ada) if token == "own" else token}

        answer = ada.post(path, data=form, headers={"Origin": origin} if origin else {})

        assert answer.status_code == 403, (origin, token)
        assert is_signed_in(ada)
        with world.services.database.read() as connection:
            assert check_ins.get(connection, device).sync_requested_at is None


def test_the_proof_of_one_session_is_not_that_of_another(world: AdminWorld, ada: Client) -> None:
    with world.client() as bea:
        world.sign_in(bea, "Bea")
        answer = bea.post("/sign-out", data={"csrf": token_of(ada)}, headers=ORIGIN)

    assert answer.status_code == 403


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example"])
def test_nobody_is_signed_in_by_another_site(world: AdminWorld, client: Client, origin: str | None) -> None:
    code = world.invite()

    answer = client.post("/sign-in", data={"code": code}, headers={"Origin": origin} if origin else {})

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert client.post("/sign-in", data={"code": code}, headers=ORIGIN).status_code == 303, "the code is not used up"


def test_a_form_with_too_many_fields_is_refused(ada: Client) -> None:
    fields = "&".join(f"x{number}=1" for number in range(10_000))

    answer = ada.post("/sign-out", content=fields.encode(), headers=ORIGIN)

    assert answer.status_code == 403
    assert is_signed_in(ada)


def test_a_form_that_is_no_text_is_refused(ada: Client) -> None:
    assert ada.post("/sign-out", content=b"csrf=\xff\xfe", headers=ORIGIN).status_code == 403


# What every answer carries


@pytest.mark.parametrize("path", ["/", "/devices/x", "/nope", "/sign-in", "/static/style.css", "/static/nope"])
def test_every_answer_trusts_nobody_else(ada: Client, path: str) -> None:
    headers = ada.get(path, headers={"Accept": "text/html"}).headers

    policy = {
        name: values for name, *values in (part.split() for part in headers["content-security-policy"].split(";"))
    }
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == ["'self'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert policy["form-action"] == ["'self'"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["strict-transport-security"].startswith("max-age=")
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["referrer-policy"] == "same-origin"
    assert "x-powered-by" not in headers


@pytest.mark.parametrize("path", ["/", "/sign-in", "/devices/x", "/nope"])
def test_no_page_is_kept_anywhere(ada: Client, path: str) -> None:
    assert ada.get(path, headers={"Accept": "text/html"}).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("style.css", "text/css"),
        ("main.js", "text/javascript"),
        ("passkeys.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_static_files_carry_their_kind(client: Client, name: str, kind: str) -> None:
    answer = client.get(load_assets().paths[name])

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)


def test_a_built_file_is_named_by_its_content_and_kept_for_ever(client: Client) -> None:
    path = load_assets().paths["style.css"]

    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    zipped = client.get(path, headers={"Accept-Encoding": "gzip"})

    assert hashlib.sha256(plain.content).hexdigest()[:16] in path
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert zipped.content == plain.content
    assert int(zipped.headers["content-length"]) < len(plain.content)
    assert client.get("/static/style.css").status_code == 404


@pytest.mark.parametrize("name", ["nope", "..%2fapp.py", "%2e%2e/app.py", "..%5capp.py", "style.css%00", "."])
def test_no_other_file_is_served(client: Client, name: str) -> None:
    answer = client.get(f"/static/{name}")

    assert answer.status_code in {400, 404}
    assert b"import" not in answer.content


# Wrong places


@pytest.mark.parametrize("kind", ["devices", "policies"])
def test_what_is_no_id_is_a_page_that_says_so(ada: Client, kind: str) -> None:
    for name in ("x", "1", "%00", "'%20or%201=1", "-" * 36, "é", "a" * 3000, device_id(1)[:-1]):
        answer = ada.get(f"/{kind}/{name}", headers={"Accept": "text/html"})
        assert answer.status_code == (404 if name == "%00" else 400), name  # no path that could be read in two ways
        assert "text/html" in answer.headers["content-type"]
        assert_says_nothing_of_the_inside(answer.text)


@pytest.mark.parametrize("kind", ["devices", "policies"])
def test_an_id_of_nothing_is_not_found(ada: Client, kind: str) -> None:
    assert ada.get(f"/{kind}/{device_id(77)}").status_code == 404


def test_what_belongs_to_another_tenant_is_not_there(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        tenants.add(connection, a_tenant(id=OTHER_TENANT, domain="other.example"))
        devices.add(connection, a_device(5, tenant_id=OTHER_TENANT, display_name="their-device"))
        check_ins.add(connection, device_id(5))
        groups.add(connection, a_group(5, tenant_id=OTHER_TENANT, display_name="their-group"))

    missing, theirs = ada.get(f"/devices/{device_id(6)}"), ada.get(f"/devices/{device_id(5)}")

    assert theirs.status_code == missing.status_code == 404
    assert without_names(theirs.text) == without_names(missing.text)
    synced = ada.post(f"/devices/{device_id(5)}/sync", data={"csrf": token_of(ada)}, headers=ORIGIN)
    assert synced.status_code == 404
    for path in ("/", "/devices", "/groups"):
        assert "their-" not in ada.get(path).text
    with world.services.database.read() as connection:
        assert check_ins.get(connection, device_id(5)).sync_requested_at is None


@pytest.mark.parametrize("path", ["/nope", "/devices/a/b/c", "/.env", "/sign-in/x", "/%2e%2e/"])
def test_an_unknown_page_is_a_page_for_people_and_a_problem_for_programs(client: Client, path: str) -> None:
    page = client.get(path, headers={"Accept": "text/html,*/*"})
    problem = client.get(path, headers={"Accept": "application/json"})

    assert page.status_code == problem.status_code == 404
    assert "<h1>Not found</h1>" in page.text
    assert problem.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/", "/devices", "/sign-in", "/sign-out"])
def test_other_methods_are_not_possible(ada: Client, path: str) -> None:
    for method in ("HEAD", "TRACE", "PUT", "PATCH", "DELETE", "CONNECT", "PROPFIND", "GETT"):
        assert ada.request(method, path, headers=ORIGIN).status_code == 405, method
    assert is_signed_in(ada)


@pytest.mark.parametrize("path", ["/devices", "/policies", "/groups", "/packages", "/registrations"])
def test_a_broken_place_in_a_list_is_refused(ada: Client, path: str) -> None:
    for after in ("x", "", "\x00", "' or 1=1 --", "9" * 5000):
        assert ada.get(path, params={"after": after}).status_code == 400, after


def test_a_request_for_another_host_is_not_answered(ada: Client) -> None:
    for host in ("evil.example", "localhost", f"{AUTHORITY}.evil.example", ""):
        assert ada.get("/", headers={"Host": host}).status_code == 421, host


def test_a_failure_inside_says_nothing_of_the_inside(ada: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret inside /etc/shieldwall")

    monkeypatch.setattr("shieldwall.server.portal.overview.pages.figures_for", fail)

    answer = ada.get("/")

    assert answer.status_code == 500
    assert "Something went wrong" in answer.text
    assert re.search(r"Request <code>[^<]+</code>", answer.text)
    assert_says_nothing_of_the_inside(answer.text)


def assert_says_nothing_of_the_inside(text: str) -> None:
    assert not re.search(r"secret|Traceback|Error\(|sqlalchemy|litestar|site-packages|\.py\b", text)


def without_names(page: str) -> str:
    """A page without what differs from request to request."""
    return re.sub(r"[0-9a-f-]{12,}", "…", page)


# Nothing by default


def test_every_route_of_the_portal_declares_who_may_call_it() -> None:
    router = portal.create_routes(load_templates())

    public = set()
    for route in router.routes:
        for handler in route.route_handler_map.values() if hasattr(route, "route_handler_map") else ():
            declared = handler[0].opt["authorization"]
            assert isinstance(declared, Authorization)
            if declared.public:
                public.add(route.path)
    assert public <= {"/sign-in", "/sign-in/options", "/sign-in/passkey", *FEDERATED, "/static/{name:str}"}


def test_a_route_without_a_declaration_stops_the_start() -> None:
    @get("/forgotten", sync_to_thread=False)
    def forgotten() -> str:
        return ""

    router = portal.create_routes(load_templates())
    router.register(forgotten)

    with pytest.raises(UndeclaredRouteError, match="/forgotten"):
        create_admin_application(routes=(router,))
