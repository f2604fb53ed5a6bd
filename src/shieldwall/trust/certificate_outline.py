"""What one asks of one's own certificate again and again: from when until when it is good, and for which key.

The X.509 library is three megabytes, which a service that waits most of its life would keep for this. Nothing is
believed that the outline says: a device asks it of a certificate that it checked when it came (``device_certificate``),
a server of the one that it made for itself.
"""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Annotated, Final

from cryptography.hazmat import asn1
from msgspec import Struct

from shieldwall.trust.device_key import PublicKey, public_key_info

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_MAX_CHARACTERS: Final = 16 * 1024


@asn1.sequence
class _Validity:
    not_before: asn1.UTCTime | asn1.GeneralizedTime
    not_after: asn1.UTCTime | asn1.GeneralizedTime


@asn1.sequence
class _ToBeSigned:
    version: Annotated[int, asn1.Explicit(0)]
    serial_number: int
    algorithm: asn1.TLV
    issuer: asn1.TLV
    validity: _Validity
    subject: asn1.TLV
    key_info: asn1.TLV
    extensions: Annotated[asn1.TLV, asn1.Explicit(3)]


@asn1.sequence
class _Certificate:
    to_be_signed: _ToBeSigned
    algorithm: asn1.TLV
    signature: asn1.BitString


class CertificateOutline(Struct, frozen=True, kw_only=True):
    """From when until when a certificate is good, and the key it is for, as it stands there."""

    not_before: datetime
    not_after: datetime
    key_info: bytes

    def is_for(self, key: PublicKey) -> bool:
        """Say whether it is for this key."""
        return self.key_info == asn1.decode_der(asn1.TLV, public_key_info(key)).data


def read_outline(pem: str) -> CertificateOutline | None:
    """Read the first certificate of a PEM text; none where it is not of the one form that our servers issue."""
    found = _PEM.search(pem) if len(pem) <= _MAX_CHARACTERS else None
    if found is None:
        return None
    try:
        der = base64.b64decode("".join(found[1].split()), validate=True)
        read = asn1.decode_der(_Certificate, der).to_be_signed
        return CertificateOutline(
            not_before=read.validity.not_before.as_datetime(),
            not_after=read.validity.not_after.as_datetime(),
            key_info=bytes(read.key_info.data),
        )
    except ValueError:
        return None
