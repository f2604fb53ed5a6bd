"""Which TPMs a tenant trusts: by their makers' authorities, or one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shieldwall.trust.endorsement import (
    BadEndorsementAuthorityError,
    BadEndorsementCertificateError,
    TrustedEndorsements,
    endorsement_hash,
    is_endorsed,
    read_endorsement_authority,
    read_endorsement_certificate,
)

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FOR_ENDORSEMENT_KEYS = x509.ObjectIdentifier("2.23.133.8.1")
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key()


USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


class Authority:
    """A maker of TPMs."""

    def __init__(
        self, name: str = "Maker", *, parent: Authority | None = None, ca: bool | None = True, signs: bool | None = None
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = named(name)
        self.certificate = (parent or self).issue(
            self.key.public_key(), subject=self.name, ca=ca, signs=signs, purpose=None
        )

    def issue(
        self,
        key: Any = PUBLIC,
        *,
        subject: x509.Name | None = None,
        ca: bool | None = False,
        signs: bool | None = None,
        purpose: x509.ObjectIdentifier | None = FOR_ENDORSEMENT_KEYS,
        until: datetime = NOON + timedelta(days=3650),
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject or x509.Name([]))
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOON - timedelta(days=1000))
            .not_valid_after(until)
        )
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        if signs is not None:
            others = dict.fromkeys(USES, False)
            builder = builder.add_extension(x509.KeyUsage(key_cert_sign=signs, **others), critical=True)
        if subject is None:  # a maker names the model in a critical alternative name, and nothing in the subject
            model = x509.DirectoryName(x509.Name([x509.NameAttribute(x509.ObjectIdentifier("2.23.133.2.2"), "T")]))
            builder = builder.add_extension(x509.SubjectAlternativeName([model]), critical=True)
        if purpose is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


MAKER = Authority()
TRUSTED = TrustedEndorsements(authorities=(MAKER.certificate,))


def test_a_maker_that_the_tenant_trusts_vouches_for_a_tpm() -> None:
    assert is_endorsed(PUBLIC, MAKER.issue(), (), TRUSTED, NOON)


def test_a_certificate_of_nobody_we_know_vouches_for_nothing() -> None:
    namesake = Authority()
    assert not is_endorsed(PUBLIC, namesake.issue(), (), TRUSTED, NOON)
    assert not is_endorsed(PUBLIC, namesake.issue(), (namesake.certificate,), TRUSTED, NOON)
    assert not is_endorsed(PUBLIC, MAKER.issue(), (), TrustedEndorsements(), NOON)
    assert not is_endorsed(PUBLIC, None, (), TRUSTED, NOON)


def test_a_chain_leads_over_the_makers_intermediate() -> None:
    intermediate = Authority("Plant", parent=MAKER)
    certificate = intermediate.issue()
    assert is_endorsed(PUBLIC, certificate, (intermediate.certificate,), TRUSTED, NOON)
    assert not is_endorsed(PUBLIC, certificate, (), TRUSTED, NOON)
    assert is_endorsed(PUBLIC, certificate, (), TrustedEndorsements(authorities=(intermediate.certificate,)), NOON)


def test_whoever_is_no_authority_certifies_nobody() -> None:
    """Else one certified key of the maker would be as good as the maker's own."""
    for impostor in (
        Authority("Impostor", parent=MAKER, ca=False),
        Authority("Impostor", parent=MAKER, ca=None),
        Authority("Impostor", parent=MAKER, signs=False),
    ):
        assert not is_endorsed(PUBLIC, impostor.issue(), (impostor.certificate,), TRUSTED, NOON)
    plant = Authority("Plant", parent=MAKER, signs=True)
    assert is_endorsed(PUBLIC, plant.issue(), (plant.certificate,), TRUSTED, NOON)


def test_a_certificate_for_another_purpose_vouches_for_nothing() -> None:
    assert not is_endorsed(PUBLIC, MAKER.issue(purpose=ExtendedKeyUsageOID.CLIENT_AUTH), (), TRUSTED, NOON)
    assert not is_endorsed(PUBLIC, MAKER.issue(ca=True), (), TRUSTED, NOON)
    assert is_endorsed(PUBLIC, MAKER.issue(purpose=None), (), TRUSTED, NOON)  # older ones do not say


def test_a_certificate_is_believed_in_its_time_alone() -> None:
    assert not is_endorsed(PUBLIC, MAKER.issue(until=NOON - timedelta(seconds=1)), (), TRUSTED, NOON)


def test_a_tpm_is_trusted_by_its_hash_alone() -> None:
    trusted = TrustedEndorsements(hashes=frozenset({endorsement_hash(PUBLIC)}))
    assert is_endorsed(PUBLIC, None, (), trusted, NOON)
    assert not is_endorsed(ec.generate_private_key(ec.SECP256R1()).public_key(), None, (), trusted, NOON)


def test_the_certificate_has_to_be_the_keys_own() -> None:
    der = MAKER.issue().public_bytes(Encoding.DER)
    assert read_endorsement_certificate(der, PUBLIC) is not None
    with pytest.raises(BadEndorsementCertificateError, match="another key"):
        read_endorsement_certificate(der, ec.generate_private_key(ec.SECP256R1()).public_key())


def test_an_administrator_names_one_authority_at_a_time() -> None:
    pem = MAKER.certificate.public_bytes(Encoding.PEM).decode()
    assert read_endorsement_authority(pem) == MAKER.certificate
    leaf = MAKER.issue().public_bytes(Encoding.PEM).decode()
    for text in ("", "hello", leaf, pem + pem, pem[:-40], "\N{SNOWMAN}", pem + "x" * 20_000):
        with pytest.raises(BadEndorsementAuthorityError):
            read_endorsement_authority(text)
