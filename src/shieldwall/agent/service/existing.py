"""An existing registration of this machine: a full join of ours, or a certificate and key in files somebody named.

It lies beside the device's identity and outlives it: offboarding leaves it where it is.

``join.key``           the key of the full join, readable for its owner alone
``join-pending.json``  a full join on its way; gone once ``join.json`` is there
``join.json``          id and certificate of the full join
``existing.json``      where certificate and key of a registration from elsewhere are
``promotion.json``     a promotion on its way, with the key that shall be the device key; gone once it is
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import msgspec
from msgspec import Struct

from shieldwall.agent.service.disk import Disk
from shieldwall.agent.service.errors import StateCorruptError
from shieldwall.agent.service.records import PendingRegistration
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceIdField, TenantId, TenantIdField
from shieldwall.contract.registration import (
    ExistingRegistrationProof,
    PromoteRequest,
    RegisterAnswer,
    RegisterRequest,
)
from shieldwall.contract.strict_json import decode, encode
from shieldwall.trust.device_key import BadDeviceKeyError, DeviceKey

if TYPE_CHECKING:  # megabytes that a device without such a registration lacks
    from shieldwall.trust.existing_keys import ExistingCertificate
    from shieldwall.trust.key_proofs import ExistingPrivateKey

T = TypeVar("T")

JOIN_KEY: Final = "join.key"
JOIN_PENDING: Final = "join-pending.json"
JOIN: Final = "join.json"
EXISTING: Final = "existing.json"
PROMOTION: Final = "promotion.json"
MAX_CHAIN: Final = 4
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


class UnusableExistingError(ShieldwallError):
    """Certificate and key of an existing registration cannot be used as they are."""

    code = "existingUnusable"
    remedy = "Name a certificate in PEM, the leaf first, and its unencrypted key, readable for root alone."


class JoinRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The full join of this machine: under which id the directory knows it."""

    tenant_id: TenantIdField
    device_id: DeviceIdField
    certificate: str


class ExistingFiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Where certificate and key of a registration from elsewhere are."""

    certificate: Annotated[str, msgspec.Meta(max_length=4096)]
    key: Annotated[str, msgspec.Meta(max_length=4096)]


class PendingPromotion(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """A promotion that was, or is about to be, sent; with ``answer`` it is decided, and only has to be carried out."""

    synthetic_id: DeviceIdField
    key: str
    request: PromoteRequest
    answer: RegisterAnswer | None = None


class Holding(Struct, frozen=True, kw_only=True):
    """An existing registration that this machine can prove to hold."""

    certificate: ExistingCertificate
    chain: tuple[bytes, ...]
    key: ExistingPrivateKey

    def proof(
        self, request: RegisterRequest | PromoteRequest, *, tenant_id: TenantId, nonce: str, spki: bytes
    ) -> ExistingRegistrationProof:
        """Prove it for a request; of what the request says there as a proof, nothing counts."""
        from shieldwall.trust.key_proofs import message, sign_existing, spoken_about  # noqa: PLC0415 - as above

        algorithm, signature = sign_existing(self.key, message(tenant_id, nonce, spki, spoken_about(request)))
        return ExistingRegistrationProof(
            certificate=_base64(self.certificate.der),
            chain=tuple(map(_base64, self.chain)),
            algorithm=algorithm,
            signature=_base64(signature),
        )


class ExistingState(Struct, frozen=True, kw_only=True):
    """Typed access to what lies beside the identity; every write is on disk when it returns.

    Every method may raise ``HostError`` (the disk is full or fails), and every reading one ``StateCorruptError``.
    """

    directory: Path
    disk: Disk

    def find(self, tenant_id: TenantId) -> Holding | None:
        """Return the registration that this machine holds in a tenant: the one in files goes before a join of ours.

        Raises:
            UnusableExistingError: Files were named, and they cannot be used; ones that are not there yet count as none.
        """
        files = self._find(EXISTING, ExistingFiles)
        if files is not None and (found := self.read_files(files)) is not None:
            return found
        join, key = self.find_join(), self.find_join_key()
        if join is None or key is None or join.tenant_id != tenant_id:
            return None
        return _holding(join.certificate.encode(), key.private_key, "the full join")

    def read_files(self, files: ExistingFiles) -> Holding | None:
        """Read certificate and key, ``None`` where one is not there. Raises: UnusableExistingError."""
        certificate, key = self.disk.read(Path(files.certificate)), self.disk.read(Path(files.key))
        if certificate is None or key is None:
            return None
        from shieldwall.trust.key_proofs import read_existing_key  # noqa: PLC0415 - as above

        try:
            return _holding(certificate, read_existing_key(key), files.certificate)
        except UnusableExistingError:
            raise
        except ShieldwallError as error:
            raise UnusableExistingError(f"{files.key}: {error.cause}") from error

    def use_files(self, certificate: Path, key: Path) -> Holding:
        """Look for a registration in these files from now on. Raises: UnusableExistingError."""
        files = ExistingFiles(certificate=str(certificate.absolute()), key=str(key.absolute()))
        found = self.read_files(files)
        if found is None:
            raise UnusableExistingError(f"{files.certificate} or {files.key} is not there.")
        self._put(EXISTING, files)
        return found

    def own_files(self) -> tuple[Path, ...]:
        """Name the files from elsewhere that are used, none where nobody named any or the record is damaged."""
        try:
            files = self._find(EXISTING, ExistingFiles)
        except ShieldwallError:
            return ()
        return () if files is None else (Path(files.certificate), Path(files.key))

    def find_join_key(self) -> DeviceKey | None:
        """Read the key of the full join. Raises: StateCorruptError."""
        pem = self.disk.read(self.directory / JOIN_KEY)
        if pem is None:
            return None
        try:
            return DeviceKey.from_pem(pem)
        except BadDeviceKeyError as error:
            raise StateCorruptError(f"{self.directory / JOIN_KEY} does not hold a key.") from error

    def make_join_key(self) -> DeviceKey:
        """Make the key of a full join, and store it."""
        key = DeviceKey.generate()
        self.disk.write(self.directory / JOIN_KEY, key.to_pem())
        return key

    def find_join(self) -> JoinRecord | None:
        """Read the full join of this machine."""
        return self._find(JOIN, JoinRecord)

    def put_join(self, join: JoinRecord) -> None:
        """Be joined from now on."""
        self._put(JOIN, join)
        self.drop_pending_join()

    def find_pending_join(self) -> PendingRegistration | None:
        """Read the full join that is on its way."""
        return self._find(JOIN_PENDING, PendingRegistration)

    def put_pending_join(self, pending: PendingRegistration) -> None:
        """Keep a full join before it is sent."""
        self._put(JOIN_PENDING, pending)

    def drop_pending_join(self) -> None:
        """Forget a full join that was answered."""
        self.disk.remove(self.directory / JOIN_PENDING)

    def find_promotion(self) -> PendingPromotion | None:
        """Read the promotion that is on its way."""
        return self._find(PROMOTION, PendingPromotion)

    def put_promotion(self, promotion: PendingPromotion) -> None:
        """Keep a promotion, before it is sent or before it is carried out."""
        self._put(PROMOTION, promotion)

    def drop_promotion(self) -> None:
        """Forget a promotion that was carried out, or refused."""
        if self.disk.read(self.directory / PROMOTION) is not None:
            self.disk.remove(self.directory / PROMOTION)

    def _find(self, name: str, kind: type[T]) -> T | None:
        content = self.disk.read(self.directory / name)
        if content is None:
            return None
        try:
            return decode(content, kind)
        except ShieldwallError as error:
            raise StateCorruptError(f"{self.directory / name} is damaged: {error.cause}") from error

    def _put(self, name: str, value: object) -> None:
        self.disk.write(self.directory / name, encode(value))


def _holding(pem: bytes, key: ExistingPrivateKey, where: str) -> Holding:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - as above

    from shieldwall.trust.existing_keys import (  # noqa: PLC0415 - as above
        BadExistingCertificateError,
        read_certificate,
        read_existing_certificate,
    )

    blocks = [match[1] for match in _PEM.finditer(pem)]
    if not 1 <= len(blocks) <= MAX_CHAIN + 1:
        raise UnusableExistingError(f"{where} does not hold 1 to {MAX_CHAIN + 1} certificates in PEM.")
    try:
        leaf, *chain = (base64.b64decode(b"".join(block.split()), validate=True) for block in blocks)
        certificate = read_existing_certificate(leaf)
        for each in chain:
            read_certificate(each)
    except ValueError:
        raise UnusableExistingError(f"{where} cannot be read as PEM.") from None
    except BadExistingCertificateError as error:
        raise UnusableExistingError(f"{where}: {error.cause}") from error
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public != certificate.spki:
        raise UnusableExistingError(f"The key does not belong to the certificate in {where}.")
    return Holding(certificate=certificate, chain=tuple(chain), key=key)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
