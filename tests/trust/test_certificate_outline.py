"""The outline of a certificate says what the X.509 library says, and is read without it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Final

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.contract.ids import parse_device_id, parse_tenant_id
from shieldwall.trust.certificate_outline import read_outline
from shieldwall.trust.certificates import DeviceAuthority
from shieldwall.trust.device_key import DeviceKey

TENANT: Final = parse_tenant_id("9f3c1d1e-8f1c-4b52-9a27-6b1b7b1f4a10")
DEVICE: Final = parse_device_id("1b7e2a60-3c55-4d0e-8a41-0f6d2c9e7b33")
KEY: Final = DeviceKey.generate()
ISSUED: Final = datetime(2026, 9, 1, 12, tzinfo=UTC)

_READ: Final = """
import sys
from shieldwall.trust.certificate_outline import read_outline

print(read_outline(sys.argv[1]) is not None, "cryptography.x509" in sys.modules)
"""


def issued(now: datetime = ISSUED) -> str:
    return DeviceAuthority.create(TENANT, now).issue(KEY.public_key, TENANT, DEVICE, now, days=90)


CERTIFICATE: Final = issued()


@pytest.mark.parametrize("year", [2026, 2049, 2050, 2051])  # from 2050 on, times are written in another way
def test_an_outline_says_what_the_library_says(year: int) -> None:
    pem = issued(datetime(year, 9, 1, 12, tzinfo=UTC))
    certificate, outline = x509.load_pem_x509_certificate(pem.encode()), read_outline(pem)

    assert outline is not None
    assert outline.not_before == certificate.not_valid_before_utc
    assert outline.is_for(KEY.public_key)
    assert not outline.is_for(DeviceKey.generate().public_key)


def test_the_first_certificate_of_several_counts() -> None:
    other = issued(datetime(2027, 1, 1, tzinfo=UTC))

    assert read_outline(CERTIFICATE + other) == read_outline(CERTIFICATE) != read_outline(other)


@pytest.mark.parametrize("text", ["", "no certificate", "-----BEGIN CERTIFICATE-----AAA-----END CERTIFICATE-----"])
def test_what_is_no_certificate_has_no_outline(text: str) -> None:
    assert read_outline(text) is None


def test_what_is_longer_than_a_certificate_is_not_looked_at() -> None:
    assert read_outline(" " * 16_384 + CERTIFICATE) is None


@given(place=st.integers(0, len(CERTIFICATE) - 1), character=st.characters(max_codepoint=255))
def test_a_damaged_certificate_is_read_or_not_and_nothing_else(place: int, character: str) -> None:
    outline = read_outline(CERTIFICATE[:place] + character + CERTIFICATE[place + 1 :])

    assert outline is None or outline.not_before.tzinfo is UTC


def test_the_outline_needs_no_library_of_certificates() -> None:
    words = [sys.executable, "-I", "-c", _READ, CERTIFICATE]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout

    assert said.split() == ["True", "False"]
