"""Ask the signer over its socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from shieldwall.contract import strict_json
from shieldwall.contract.conflicts import PUBLISHED, ConflictRules
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import DeviceId, KeyThumbprint, TenantId
from shieldwall.contract.messages import MANAGED_CODE, UNPROTECTED, Envelope, ManifestItem, Protection
from shieldwall.server.signer import wire
from shieldwall.server.signer.errors import BY_CODE, BadFrameError, SignerError, SignerUnavailableError
from shieldwall.server.signer.sockets import connect, socket_path
from shieldwall.trust import strict_base64
from shieldwall.trust.offboarding import OffboardingPackage
from shieldwall.trust.onboarding import OnboardingPackage
from shieldwall.trust.roots import TrustRoot

TIMEOUT_SECONDS: Final = 10.0

T = TypeVar("T")


class SignerClient:
    """The signer process of a data directory, over one connection that many threads take turns on.

    A broken connection is made again once per question. Asking twice does no harm: a policy's revision gets the same
    answer, a manifest a newer number.
    """

    def __init__(
        self, data: Path, *, timeout: float = TIMEOUT_SECONDS, dial: Callable[[float], socket.socket] | None = None
    ) -> None:
        """Ask the signer of this directory; or the one that ``dial`` connects to, which raises ``OSError``."""
        path = socket_path(data)
        self._dial = (lambda patience: connect(path, patience)) if dial is None else dial
        self._timeout = timeout
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None

    def for_tenant(self, tenant_id: TenantId) -> TenantSignerClient:
        """Return the signer of one tenant, over this connection."""
        return TenantSignerClient(self, tenant_id)

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            self._hang_up()

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        self.close()

    def ask(self, tenant_id: TenantId, request: wire.Request, kind: type[T]) -> T:
        """Ask for something with the keys of a tenant. Raises: SignerError."""
        reply = self.forward(strict_json.encode(wire.Question(tenant_id=tenant_id, request=request)))
        try:
            answer: wire.Answer = strict_json.decode(reply, wire.Answer)  # type: ignore[arg-type]  # a union is no type[T]
            if isinstance(answer, wire.Granted):
                return strict_json.convert(answer.result, kind)
        except InvalidJsonError as error:
            raise BadFrameError(f"The signer's answer cannot be read: {error.cause}") from None
        raise BY_CODE.get(answer.code, SignerError)(answer.cause, remedy=answer.remedy)

    def forward(self, question: bytes) -> bytes:
        """Hand over a question as it stands and return the answer as it came. Raises: SignerUnavailableError."""
        if not self._lock.acquire(timeout=self._timeout):
            raise SignerUnavailableError("Others wait for the signer as well, and it does not answer.")
        try:
            return self._exchange(question)
        finally:
            self._lock.release()

    def _exchange(self, question: bytes) -> bytes:
        if self._connection is not None:
            try:
                return self._round(self._connection, question)
            except TimeoutError as error:
                self._hang_up()  # it is there and says nothing: to ask again is to wait as long once more
                raise SignerUnavailableError(f"The signer does not answer: {error}.") from error
            except (OSError, BadFrameError):
                self._hang_up()  # the signer was restarted since we last spoke
        try:
            self._connection = self._dial(self._timeout)
            return self._round(self._connection, question)
        except (OSError, BadFrameError) as error:
            self._hang_up()
            raise SignerUnavailableError(f"The signer does not answer: {error}.") from error

    def _round(self, connection: socket.socket, question: bytes) -> bytes:
        wire.write_frame(connection, question)
        reply = wire.read_frame(connection, wait_seconds=self._timeout)
        if reply is None:
            raise BadFrameError("The signer hung up.")
        return reply

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class TenantSignerClient:
    """The signer of one tenant; implements ``ports.Signer``. It lives as long as the client it came from."""

    def __init__(self, client: SignerClient, tenant_id: TenantId) -> None:
        self._client = client
        self._tenant_id = tenant_id

    def sign_policy(self, document: bytes) -> Envelope:
        """Sign one revision of a policy."""
        return self._ask(wire.SignPolicy(document=strict_base64.encode(document)), Envelope)

    def sign_manifest(
        self,
        *,
        tenant_id: TenantId,
        device_id: DeviceId,
        device_key: KeyThumbprint,
        items: Sequence[ManifestItem],
        conflict_rules: ConflictRules = PUBLISHED,
        protection: Protection = UNPROTECTED,
        offboard: bool = False,
        enrollment: int = MANAGED_CODE,
    ) -> Envelope:
        """Sign what one device shall enforce."""
        request = wire.SignManifest(
            tenant_id=tenant_id,
            device_id=device_id,
            device_key=device_key,
            items=tuple(items),
            conflict_rules=dict(conflict_rules),
            protection=protection,
            offboard=offboard,
            enrollment=int(enrollment),
        )
        return self._ask(request, Envelope)

    def sign_time(self, nonce: str) -> Envelope:
        """Sign the present time."""
        return self._ask(wire.SignTime(nonce=nonce), Envelope)

    def issue_certificate(self, *, spki: bytes, tenant_id: TenantId, device_id: DeviceId) -> str:
        """Certify a device's key."""
        request = wire.IssueCertificate(spki=strict_base64.encode(spki), tenant_id=tenant_id, device_id=device_id)
        return self._ask(request, str)

    def seal_package(self, package: OnboardingPackage) -> Envelope:
        """Sign an onboarding package."""
        return self._ask(wire.SealPackage(package=package), Envelope)

    def seal_offboarding(self, package: OffboardingPackage) -> Envelope:
        """Sign an offboarding package."""
        return self._ask(wire.SealOffboarding(package=package), Envelope)

    def sign_token(self, claims: Mapping[str, Any]) -> str:
        """Sign a token."""
        return self._ask(wire.SignToken(claims=dict(claims)), str)

    def rotate_token_key(self, *, at_once: bool = False, only_if_due: bool = False) -> str | None:
        """Make the next key of tokens."""
        found = self._ask(wire.RotateTokenKey(at_once=at_once, only_if_due=only_if_due), str)
        return found or None

    def trust_root(self) -> TrustRoot:
        """Return the public keys of all roles and the device authority."""
        return self._ask(wire.GetTrustRoot(), TrustRoot)

    def jwks(self) -> dict[str, Any]:
        """Return the keys that verify tokens."""
        return self._ask(wire.GetTokenKeys(), dict)

    def _ask(self, request: wire.Request, kind: type[T]) -> T:
        return self._client.ask(self._tenant_id, request, kind)
