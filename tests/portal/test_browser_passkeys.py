"""Passkeys in a real Chromium, with an authenticator of its debugging protocol, over a certificate it trusts."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from tests.support.portal_browser import ARGUMENTS, Office, Watched, office

__all__ = ["office"]

pytestmark = pytest.mark.browser

REFUSING = """
  const refuse = () => Promise.reject(new DOMException("Not supported on sites with TLS certificate errors.",
    "NotAllowedError"));
  navigator.credentials.create = refuse;
  navigator.credentials.get = refuse;
"""
"""What Chromium does on pages whose certificate it does not trust; a browser that is steered overlooks certificates."""


@pytest.fixture(scope="module")
def trusting(office: Office) -> Iterator[Browser]:
    """A Chromium that trusts the server's key, as it would that of an authority: passkeys are refused elsewhere."""
    certificate = x509.load_pem_x509_certificate(office.services.settings.tls_certificate.read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(key).digest()).decode()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[*ARGUMENTS, f"--ignore-certificate-errors-spki-list={pin}"],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def context(trusting: Browser) -> Iterator[BrowserContext]:
    context = trusting.new_context()
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def add_authenticator(page: Page, transport: str = "internal") -> tuple[Any, str]:
    protocol = page.context.new_cdp_session(page)
    protocol.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": transport,
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = protocol.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return protocol, made["authenticatorId"]


def first_run(page: Page, office: Office, name: str) -> None:
    page.goto(office.link(name))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{office.url}/account/passkeys/new")


def make_passkey(page: Page, office: Office, name: str) -> None:
    page.goto(f"{office.url}/account/passkeys/new")
    page.get_by_label("What you call it").fill(name)
    page.get_by_role("button", name="Make the passkey").click()
    page.wait_for_url(f"{office.url}/account")


def test_a_first_run_ends_with_a_passkey_that_signs_in(office: Office, page: Page) -> None:
    watched = Watched(page)
    add_authenticator(page)
    first_run(page, office, "Ada")
    page.get_by_label("What you call it").fill("Laptop")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{office.url}/account")
    expect(page.get_by_role("table", name="Your passkeys")).to_contain_text("Laptop")
    expect(page.get_by_text("Add a second one")).to_be_visible()

    page.get_by_role("button", name="Sign out").first.click()
    page.wait_for_url(f"{office.url}/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{office.url}/")
    expect(page.get_by_role("link", name="Ada")).to_be_visible()
    assert watched.complaints == []


def test_a_name_chooses_among_passkeys_and_a_second_one_needs_another_authenticator(office: Office, page: Page) -> None:
    protocol, first = add_authenticator(page)
    first_run(page, office, "Bea")
    make_passkey(page, office, "First")
    page.goto(f"{office.url}/account/passkeys/new")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("holds a passkey for you already")

    protocol.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": first})
    add_authenticator(page, "usb")
    make_passkey(page, office, "Second")
    page.get_by_role("button", name="Sign out").first.click()
    page.get_by_label(re.compile("Your name")).fill("bea")
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{office.url}/")


def test_who_is_not_verified_gets_no_passkey(office: Office, page: Page) -> None:
    protocol, authenticator = add_authenticator(page)
    first_run(page, office, "Cleo")
    protocol.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False})
    page.get_by_label("What you call it").fill("Laptop")
    page.get_by_role("button", name="Make the passkey").click()

    expect(page.get_by_role("alert")).to_contain_text("made or showed no passkey")


def test_where_the_browser_refuses_passkeys_the_page_says_why_and_the_code_goes_on(
    office: Office, context: BrowserContext
) -> None:
    context.add_init_script(REFUSING)
    page = context.new_page()
    first_run(page, office, "Dora")
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("do not trust the server's certificate")
    page.get_by_role("link", name="Go on without").click()
    page.wait_for_url(f"{office.url}/")
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()


def test_a_browser_without_passkeys_says_so(office: Office, context: BrowserContext) -> None:
    context.add_init_script("delete window.PublicKeyCredential")
    page = context.new_page()
    page.goto(f"{office.url}/sign-in")

    expect(page.get_by_role("alert")).to_contain_text("This browser has no passkeys here")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_disabled()
    expect(page.get_by_role("button", name="Sign in with the code")).to_be_enabled()


def test_an_old_proof_is_renewed_and_the_form_is_sent_with_nothing_lost(office: Office, page: Page) -> None:
    watched = Watched(page)
    add_authenticator(page)
    first_run(page, office, "Eve")
    make_passkey(page, office, "Laptop")
    page.goto(f"{office.url}/people")
    page.get_by_label("Name", exact=True).fill("Grace <Hopper>")
    page.get_by_label(re.compile("User name")).fill("grace@example.test")
    office.forget_proofs()
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm that it is you")
    page.get_by_role("button", name="Confirm with a passkey").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("A code for Grace <Hopper>")
    watched.complaints = [each for each in watched.complaints if "401" not in each]
    assert watched.complaints == []
    for path in ("/people", "/account", "/account/passkeys/new", "/sign-in/confirm"):
        page.set_viewport_size({"width": 360, "height": 740})
        page.goto(f"{office.url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path


def test_nobody_presses_the_button_before_its_script_is_there(office: Office, page: Page) -> None:
    page.route("**/*passkeys*.js", lambda route: route.abort())
    page.goto(f"{office.url}/sign-in")

    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_disabled()
