"""Certificates as people hand them in: text in PEM, or base64 of DER."""

from __future__ import annotations

import base64
from typing import Final

from shieldwall.server.directory.registrations import InvalidRegistrationError
from shieldwall.trust import strict_base64
from shieldwall.trust.existing_keys import ExistingCertificate, read_existing_certificate

_PEM: Final = "-----BEGIN CERTIFICATE-----"


def read_certificate_text(text: str) -> ExistingCertificate:
    """Read the certificate of an existing registration; the first one counts.

    Raises:
        InvalidRegistrationError: It is neither PEM nor base64 of DER.
        BadExistingCertificateError: The certificate cannot be read, or its key is of no kind that we take.
    """
    try:
        der = (
            base64.b64decode("".join(text.partition(_PEM)[2].partition("-----END")[0].split()), validate=True)
            if _PEM in text
            else strict_base64.decode(text)
        )
    except ValueError:
        raise InvalidRegistrationError(
            "The certificate is neither PEM nor base64 of DER.", member="certificate"
        ) from None
    return read_existing_certificate(der)
