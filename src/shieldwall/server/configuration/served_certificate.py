"""The certificate that a server shows: what it is, and another one of the local authority before it ends.

The key stays, so one file is put in the place of another and there is no moment at which two do not fit each other. A
start does it by itself, early enough that whoever restarts a server once in a few months never thinks of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.configuration.settings import ServerSettings, write_private
from shieldwall.trust.certificate_outline import read_outline

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from shieldwall.trust.certificates import LocalAuthority

RENEW_BEFORE: Final = timedelta(days=120)
"""Before its end a start renews it: long before anybody is told that it ends."""


class CertificateOfOthersError(ShieldwallError):
    """The certificate is not of the local authority, which cannot renew it."""

    code = "certificateOfOthers"
    remedy = (
        "Ask whoever issued it for another one: its chain goes into tls/server.pem, its key into tls/server.key, "
        "and the roots that devices trust into tls/ca.pem."
    )


class UnreadableCertificateError(ShieldwallError):
    """A file of the server's certificates cannot be read."""

    code = "unreadableCertificate"
    remedy = "Bring the directory tls back from a backup; tls/server.pem and tls/server.key belong together."


class NotTheServersUserError(ShieldwallError):
    """Whoever would write the certificate is not the user that the server runs as, who could not read it then."""

    code = "notTheServersUser"
    remedy = "Run the command as the server's user, for example with sudo -u shieldwall."


class ServedCertificate(Struct, frozen=True, kw_only=True):
    """What clients are shown: for which names and addresses, from when until when.

    ``authority_ends`` is when the local authority that issued it ends; ``None`` where another one did.
    """

    names: tuple[str, ...]
    begins: datetime
    ends: datetime
    authority_ends: datetime | None


def look(settings: ServerSettings) -> ServedCertificate:
    """Return what the server shows once it is started again. Raises: UnreadableCertificateError."""
    return _described(_certificate(settings), _authority(settings))


def renew(settings: ServerSettings, now: datetime, names: Iterable[str] = ()) -> ServedCertificate:
    """Have the local authority issue another certificate, for the same names and these.

    Raises:
        CertificateOfOthersError: Another authority issued the present one.
        NotTheServersUserError: The present one is somebody else's, and the new one would be ours.
        UnreadableCertificateError: A file cannot be read, or the new one not be written.
    """
    from shieldwall.trust.x509_errors import UNREADABLE  # noqa: PLC0415 - as ``_certificate``

    present, authority = _certificate(settings), _authority(settings)
    described = _described(present, authority)
    if authority is None or described.authority_ends is None:
        raise CertificateOfOthersError("The server's certificate is not of the local authority.")
    try:
        if settings.tls_certificate.stat().st_uid != os.geteuid():
            raise NotTheServersUserError(f"{settings.tls_certificate} belongs to another user.")
        chain = authority.certify_server(present.public_key(), (*described.names, *names), now)
        write_private(settings.tls_certificate, chain.encode("ascii"))
    except OSError as error:
        raise UnreadableCertificateError(f"{error.filename or settings.tls_certificate}: {error.strerror}.") from None
    except UNREADABLE as error:
        raise UnreadableCertificateError(f"The certificate cannot be renewed: {error}.") from None
    return look(settings)


def renew_if_due(settings: ServerSettings, now: datetime) -> ServedCertificate | None:
    """Renew it where it ends soon and the local authority can; return the new one, ``None`` where nothing was done.

    Raises:
        NotTheServersUserError, UnreadableCertificateError: As ``renew``.
    """
    try:
        outline = read_outline(settings.tls_certificate.read_text("ascii"))
    except (OSError, ValueError):
        return None  # whoever listens says it
    if outline is None or outline.not_after > now + RENEW_BEFORE:
        return None
    described = look(settings)
    if described.authority_ends is None or described.authority_ends <= described.ends:
        return None  # it would end no later
    return renew(settings, now)


def _certificate(settings: ServerSettings) -> Certificate:
    # Megabytes, which the process that starts the others would keep for a moment a year.
    from cryptography import x509  # noqa: PLC0415 - see above

    from shieldwall.trust.x509_errors import UNREADABLE  # noqa: PLC0415 - see above

    try:
        return x509.load_pem_x509_certificates(settings.tls_certificate.read_bytes())[0]
    except OSError as error:
        raise UnreadableCertificateError(f"{settings.tls_certificate}: {error.strerror}.") from None
    except UNREADABLE:
        raise UnreadableCertificateError(f"{settings.tls_certificate} holds no certificate.") from None


def _authority(settings: ServerSettings) -> LocalAuthority | None:
    """Return the local authority, where this machine has its key."""
    from shieldwall.trust.certificates import BadAuthorityError, LocalAuthority  # noqa: PLC0415 - see above

    try:
        return LocalAuthority.from_pem(settings.tls_authority_key.read_bytes(), settings.tls_authority.read_bytes())
    except (OSError, BadAuthorityError):
        return None  # further machines have none, nor has who put away its key


def _described(certificate: Certificate, authority: LocalAuthority | None) -> ServedCertificate:
    from shieldwall.trust.certificates import names_of  # noqa: PLC0415 - see above

    is_of_it = authority is not None and authority.issued(certificate)
    try:
        names = names_of(certificate)
    except ValueError as error:
        raise UnreadableCertificateError(str(error)) from None
    return ServedCertificate(
        names=names,
        begins=certificate.not_valid_before_utc,
        ends=certificate.not_valid_after_utc,
        authority_ends=authority.certificate.not_valid_after_utc if authority is not None and is_of_it else None,
    )
