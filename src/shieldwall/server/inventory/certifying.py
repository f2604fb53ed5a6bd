"""Certificates for what happens in a transaction, asked for outside of it: nobody waits there for another process.

What gives a device a certificate runs twice. The first time it comes as far as the certificate, and is undone: by then
it has decided, on what is there, that this key shall be certified as this device's. The signer is asked with no
transaction open. Then all of it runs again, with the certificate at hand, and decides again on what is there by now.

A certificate whose second run ends otherwise is dropped: nobody was handed it, no row names it, and what a device may
do is decided by its row alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, TypeVar

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.inventory.pending import CertificateIssuer
from shieldwall.server.storage.engine.database import StorageUnavailableError

T = TypeVar("T")
MOST_RUNS: Final = 4
"""One is enough, and one more for each certificate; more only where rows change between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The certificate that something comes to want: this key (SubjectPublicKeyInfo in DER) as this device's."""

    spki: bytes
    tenant_id: TenantId
    device_id: DeviceId

    def issued_by(self, signer: CertificateIssuer) -> str:
        """Ask for it. Raises: SignerError."""
        return signer.issue_certificate(spki=self.spki, tenant_id=self.tenant_id, device_id=self.device_id)


class CertificateWantedError(Exception):
    """What runs has come to the point where it wants a certificate that was not issued yet."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self.wanted: Final = wanted


@dataclass(frozen=True, slots=True)
class AtHand:
    """Hands out the certificates that were issued before; a ``CertificateIssuer`` that asks nobody."""

    certificates: dict[Wanted, str] = field(default_factory=dict)

    def issue_certificate(self, *, spki: bytes, tenant_id: TenantId, device_id: DeviceId) -> str:
        """Return the certificate of a key. Raises: CertificateWantedError."""
        wanted = Wanted(spki=spki, tenant_id=tenant_id, device_id=device_id)
        if (certificate := self.certificates.get(wanted)) is None:
            raise CertificateWantedError(wanted)
        return certificate


Work = Callable[[Connection, CertificateIssuer], T]
"""What gives somebody a certificate. It runs several times, all undone but the last, and wants the same one each time
that it finds the same; so it draws no ids that a certificate names."""


def attempt(connection: Connection, work: Work[T], at_hand: AtHand) -> T | Wanted:
    """Run some work inside a transaction that it shares; where it wants a certificate it is undone, and says so."""
    try:
        with connection.begin_nested():
            return work(connection, at_hand)
    except CertificateWantedError as error:
        return error.wanted


def with_certificates(
    transaction: Callable[[], AbstractContextManager[Connection]], signer: CertificateIssuer, work: Work[T]
) -> T:
    """Run some work in a transaction of its own, and ask the signer whenever none is open.

    Raises:
        SignerError: No certificate came, and nothing has changed.
        Exception: Whatever ``work`` raised; its own writes are undone.
    """
    at_hand = AtHand()
    for _ in range(MOST_RUNS):
        try:
            with transaction() as connection:
                return work(connection, at_hand)
        except CertificateWantedError as error:
            wanted = error.wanted
        at_hand.certificates[wanted] = wanted.issued_by(signer)
    raise changed_too_often()


def changed_too_often() -> StorageUnavailableError:
    """Say that another certificate was wanted each time."""
    return StorageUnavailableError("What was asked for changed each time that it was tried.")
