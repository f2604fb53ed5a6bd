"""What the redaction takes out, and what it leaves for whoever helps."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.agent.inspection.redaction import REDACTED, document, secrets_in, text

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJkZXZpY2UifQ.c2lnbmF0dXJl"
RANDOM = base64.b64encode(hashlib.sha512(b"key").digest()).decode()
PEM = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        ("HTTPProxyPassword hunter2", "hunter2"),
        ("  HTTPProxyUsername alice\n", "alice"),
        ("password=hunter2", "hunter2"),
        ("PASSWORD: hunter2", "hunter2"),
        ('{"clientSecret": "hunter2 and more"}', "hunter2"),
        ('{"a": 1, "api_key":"hunter2"}', "hunter2"),
        ("db_passwd='hunter 2'", "hunter 2"),
        ("Authorization: Bearer abcdefghijklm", "abcdefghijklm"),
        ("authorization=Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("curl said bearer abcdefghijklm", "abcdefghijklm"),
        (f"it answered {JWT} and went", JWT),
        ("http://alice:hunter2@mirror.example/x", "hunter2"),
        ("https://hunter2@mirror.example/x", "hunter2"),
        ("http://alice:p@hunter2@mirror.example/x", "hunter2"),
        ("ftp://alice:p/hunter2@mirror.example/x", "hunter2"),
        ("db_pwd=hunter2", "hunter2"),
        ("api key: hunter2", "hunter2"),
        ("Proxy-Authorization: Negotiate hunter2", "hunter2"),
        ('PASSWORD="cut off hunter2', "hunter2"),
        ("PASSWORD='cut off hunter2\nnext", "hunter2"),
        (PEM, "MIGHAgEAMBMGByqGSM49"),
        (PEM[:50], "MIGHAgEAMBMGByqGSM49"),
        (f"blob {RANDOM}", RANDOM),
        ("/home/alice/x", "alice"),
        ("mail to alice@example.org now", "alice@example.org"),
    ],
)
def test_secrets_and_names_are_taken_out(content: str, secret: str) -> None:
    assert secret in content
    assert secret not in text(content)


@pytest.mark.parametrize(
    "content",
    [
        "The level is passive, and the scan passed by /etc/passwd",
        "LocalSocket /run/clamav/clamd.ctl",
        f"digest {hashlib.sha256(b'x').hexdigest()}",
        "device 0b7a4d1e-5a58-4f0e-8f1c-9a6e8f1b2c3d",
        "linux_mdatp_managed_antivirusengine_enforcementlevel",
        "https://gateway.example:8444/device/v1/time",
        "https://gateway.example:8444/device/v1/time at @reboot",
        "compass=north, bypass: no",
        "/usr/lib/shieldwall-agent/lib/python3/site-packages/shieldwall/agent/providers",
    ],
)
def test_what_helps_stays(content: str) -> None:
    assert text(content) == content


def test_known_secrets_go_wherever_they_stand() -> None:
    assert text("it is correct horse, yes", known=["correct horse"]) == f"it is {REDACTED}, yes"


def test_settings_that_are_secret_are_found_and_taken_out() -> None:
    policy = {"settings": [{"definition": "x", "value": {"kind": "secret", "value": "hunter2"}}], "name": "hunter2 too"}

    assert secrets_in(policy) == {"hunter2"}
    assert "hunter2" not in json.dumps(document(policy, known=secrets_in(policy)))
    assert document({"kind": "secret", "value": "x"}) == {"kind": "secret", "value": REDACTED}


def test_members_named_like_a_secret_lose_their_value() -> None:
    found = {"accessToken": "x y", "displayName": "Alices laptop", "count": 3, "list": [{"password": "p"}], "none": ""}

    assert document(found) == {
        "accessToken": REDACTED,
        "displayName": REDACTED,
        "count": 3,
        "list": [{"password": REDACTED}],
        "none": "",
    }


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_redacting_twice_changes_nothing_more(content: str) -> None:
    assert text(text(content)) == text(content)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=6, max_size=40), st.text(max_size=60))
def test_a_known_secret_never_survives(secret: str, around: str) -> None:
    assert secret not in text(f"{around}{secret}{around}", known=[secret]).replace(REDACTED, "")
