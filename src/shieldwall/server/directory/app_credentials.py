"""What applications show who they are by: secrets, kept as hashes, and certificates, whose keys stay with them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.invalid_app import InvalidAppError
from shieldwall.server.directory.names import is_name
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.identity import app_credentials, apps
from shieldwall.server.storage.identity_records import App, AppCredential, CredentialKind

LONGEST_LIFETIME: Final = timedelta(days=730)
SECRET_LIFETIME: Final = timedelta(days=180)
MAX_SECRET_LENGTH: Final = 256
MOST_CREDENTIALS: Final = 20
MAX_CERTIFICATE_BYTES: Final = 16 * 1024
SMALLEST_RSA_BITS: Final = 2048
LARGEST_RSA_BITS: Final = 8192
_FAST: Final = "$sha256$"
_PURPOSE: Final = b"shieldwall application secret\x00"
_HINT: Final = 3


class InvalidClientError(ShieldwallError):
    """The client id or what it shows is not right; which of them, and why, is not said."""

    code = "invalidClient"
    remedy = "Check the client id and its secret or certificate, or give the application a new one."


@dataclass(frozen=True, slots=True)
class Authenticated:
    """An application that showed who it is; ``outdated`` is the secret it did so by, where its hash is a slow one."""

    app: App
    outdated: AppCredential | None = None


def new_secret() -> str:
    """Make a secret of 256 random bits."""
    return secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """Return the hash that a secret of ours is known by: it is 256 random bits, so nothing is gained by a slow one."""
    return _FAST + hashlib.sha256(_PURPOSE + secret.encode("utf-8", "replace")).hexdigest()


def add_secret(
    connection: Connection,
    acting: Acting,
    app: App,
    *,
    display_name: str,
    lifetime: timedelta = SECRET_LIFETIME,
    starts_at: datetime | None = None,
    make_secret: Callable[[], str] = new_secret,
) -> tuple[AppCredential, str]:
    """Give an application one more secret. It is in the answer and nowhere else; we keep its hash.

    Raises:
        InvalidAppError: The name or the lifetime cannot be, or the application has as many as it may.
    """
    if not timedelta(0) < lifetime <= LONGEST_LIFETIME:
        raise InvalidAppError(f"A secret lives at most {LONGEST_LIFETIME.days} days.", member="lifetime")
    secret, begins = make_secret(), starts_at or acting.clock.now()
    credential = AppCredential(
        id=acting.new_id(),
        tenant_id=app.tenant_id,
        client_id=app.client_id,
        kind=CredentialKind.SECRET,
        display_name=display_name,
        secret_hash=hash_of(secret),
        hint=secret[:_HINT],
        starts_at=begins,
        expires_at=begins + lifetime,
    )
    _add(connection, acting, app, credential)
    return credential, secret


def add_certificate(
    connection: Connection, acting: Acting, app: App, certificate: bytes, *, display_name: str = ""
) -> AppCredential:
    """Let an application show who it is by a certificate, given as DER or PEM, for as long as that lasts.

    Raises:
        InvalidAppError: It cannot be read or used, has ended, or the application has as many as it may.
    """
    found = _parsed(certificate)
    if found.not_valid_after_utc <= acting.clock.now():
        raise InvalidAppError("The certificate has ended.", member="certificate")
    name = display_name or found.subject.rfc4514_string()[:256] or "Certificate"
    credential = AppCredential(
        id=acting.new_id(),
        tenant_id=app.tenant_id,
        client_id=app.client_id,
        kind=CredentialKind.CERTIFICATE,
        display_name=name,
        certificate=found.public_bytes(Encoding.DER),
        starts_at=found.not_valid_before_utc,
        expires_at=found.not_valid_after_utc,
    )
    known = {each.certificate for each in app_credentials.of_app(connection, app.client_id)}
    if credential.certificate in known:
        raise InvalidAppError("The application has this certificate already.", member="certificate")
    _add(connection, acting, app, credential)
    return credential


def remove_credential(connection: Connection, acting: Acting, app: App, credential_id: str) -> None:
    """Take a secret or certificate away; nothing that the application was handed before is worth anything.

    Raises:
        NotFoundError: It has none of that id.
    """
    if not app_credentials.remove(connection, app.client_id, credential_id):
        raise NotFoundError(f"{app.display_name} has no secret or certificate {credential_id[:64]}.")
    moved = {name: getattr(app, name) for name in app.__slots__} | {"valid_from": acting.clock.now()}
    apps.change(connection, App(**moved))
    acting.record(connection, "app.credentialRemoved", "app", app.client_id, credential=credential_id)


def credentials_of(connection: Connection, app: App) -> tuple[AppCredential, ...]:
    """Return an application's secrets and certificates, those that end last first."""
    return app_credentials.of_app(connection, app.client_id)


def authenticate_by_secret(
    connection: Connection, tenant_id: TenantId, client_id: str, secret: str, *, now: datetime
) -> Authenticated:
    """Return the application of this tenant that holds this secret; every failure looks the same.

    Raises:
        InvalidClientError: Unknown here, wrong, not yet or no longer good.
    """
    app = apps.find(connection, client_id)
    if app is not None and app.tenant_id == tenant_id and app.enabled and len(secret) <= MAX_SECRET_LENGTH:
        for credential in _good(connection, app, CredentialKind.SECRET, now):
            if _matches(credential.secret_hash or "", secret):
                is_slow = not (credential.secret_hash or "").startswith(_FAST)
                return Authenticated(app, credential if is_slow else None)
    raise InvalidClientError("The client id or its secret is not right.")


def hash_anew(connection: Connection, credential: AppCredential, secret: str) -> None:
    """Keep the fast hash of a secret that was just shown, in place of the slow one of an earlier release."""
    app_credentials.change_secret_hash(connection, credential, hash_of(secret))


def certificates_of(connection: Connection, app: App, now: datetime) -> tuple[bytes, ...]:
    """Return the certificates (DER) that an application may show now."""
    good = _good(connection, app, CredentialKind.CERTIFICATE, now)
    return tuple(each.certificate for each in good if each.certificate is not None)


def _good(connection: Connection, app: App, kind: CredentialKind, now: datetime) -> list[AppCredential]:
    return [
        each
        for each in app_credentials.of_app(connection, app.client_id)
        if each.kind is kind and each.starts_at <= now < each.expires_at
    ]


def _add(connection: Connection, acting: Acting, app: App, credential: AppCredential) -> None:
    if not is_name(credential.display_name):
        raise InvalidAppError("The name of a credential has 1 to 256 plain characters.", member="displayName")
    if len(app_credentials.of_app(connection, app.client_id)) >= MOST_CREDENTIALS:
        raise InvalidAppError(f"An application has at most {MOST_CREDENTIALS} secrets and certificates.", member="id")
    app_credentials.add(connection, credential)
    acting.record(
        connection,
        "app.credentialAdded",
        "app",
        app.client_id,
        credential=credential.id,
        shows=credential.kind.value,
        ends=f"{credential.expires_at:%Y-%m-%dT%H:%M:%SZ}",
    )


def _parsed(data: bytes) -> x509.Certificate:
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise InvalidAppError("The certificate is too large.", member="certificate")
    try:
        is_pem = b"-----BEGIN CERTIFICATE-----" in data
        found = x509.load_pem_x509_certificate(data) if is_pem else x509.load_der_x509_certificate(data)
        key = found.public_key()
    except (ValueError, TypeError):
        raise InvalidAppError("The certificate cannot be read.", member="certificate") from None
    match key:
        case RSAPublicKey() if SMALLEST_RSA_BITS <= key.key_size <= LARGEST_RSA_BITS:
            return found
        case EllipticCurvePublicKey() if isinstance(key.curve, SECP256R1):
            return found
        case _:
            raise InvalidAppError(
                "The key of the certificate is neither RSA of 2048 bits or more nor P-256.", member="certificate"
            )


def _matches(kept: str, secret: str) -> bool:
    if kept.startswith(_FAST):
        return hmac.compare_digest(kept, hash_of(secret))
    try:
        return PasswordHasher().verify(kept, secret)  # its parameters stand in the hash
    except (VerificationError, InvalidHashError):
        return False
