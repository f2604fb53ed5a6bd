"""Keeping the identity good over the years: a new certificate in time, and now and then a new key.

A key change is safe against a crash at any moment, because at any moment one of the two keys on disk works:

1. the next key is on disk, beside the present one
2. the present key signs the request that names the next one; from the server's answer on, only the next one works
3. the next key becomes the device key on disk, then its certificate is stored, then the next key is dropped

Whatever ended in between is finished before the next check-in. Where the answer to 2 was lost, the present key is
refused, and the next one is tried.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from shieldwall.agent.journal import Journal
from shieldwall.agent.service import attesting
from shieldwall.agent.service.errors import ProblemAnswerError, UnusableAnswerError
from shieldwall.agent.service.gateway import Empty, Gateway
from shieldwall.agent.service.records import Identity
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId
from shieldwall.contract.registration import (
    CertificateRequest,
    KeyChangeAnswer,
    KeyChangeRequest,
    NonceAnswer,
    RenewAnswer,
    RenewRequest,
)
from shieldwall.trust import moments
from shieldwall.trust.certificate_outline import read_outline
from shieldwall.trust.device_key import SigningKey

RENEW_AFTER: Final = timedelta(days=45)
"""Half of a certificate's life."""
KEY_LIFE: Final = timedelta(days=730)
SPREAD: Final = timedelta(days=10)
"""Devices that were onboarded together do not come together: each has its own moment, so much before or after."""
_UNKNOWN_KEY: Final = "badSignature"
_SPENT_KEY: Final = "duplicateKey"
_NUMBERS_REFUSED: Final = "seqConflict"
_FINAL: Final = frozenset({400, 403})
"""The server does not believe the TPM, and would not the next time either."""


class Upkeep(Struct, frozen=True, kw_only=True):
    """Renews the certificate and changes the key."""

    state: AgentState
    gateway: Gateway
    clock: Clock
    journal: Journal

    def settle(self) -> None:
        """Finish a key change that did not come to its end. What cannot be finished now is left for the next time."""
        try:
            following = self.state.find_next_key()
            if following is not None and self._is_unfinished(following):
                self._finish(following)
        except ShieldwallError as error:
            self.journal.trouble("keyChangeUnfinished", error)

    def keep_up(self) -> bool:
        """After a check-in, do what is due; say whether the device has another key now.

        Raises:
            ShieldwallError: Somebody waits for a key change, and it failed. What is merely due is tried again later.
        """
        has_changed = self._keep_identity()
        if self.state.wishes.has_attestation():
            self._attest()
        return has_changed

    def _keep_identity(self) -> bool:
        if self.state.wishes.has_rotation():
            self.state.wishes.drop_rotation()
            self.change_key()
            return True
        identity, now = self.state.get_identity(), self.clock.now()
        try:
            if is_key_due(identity, now):
                self.change_key()
                return True
            if is_certificate_due(identity, self.gateway.key, now):
                self.renew()
        except ShieldwallError as error:
            self.journal.trouble("upkeepFailed", error)
        return False

    def _attest(self) -> None:
        """Let the TPM prove that the key in use is in it; what fails for now is tried again after the next check-in."""
        try:
            if attesting.attest_anew(self.state, self.gateway):
                self.journal.say("keyAttested", key=self.gateway.key.thumbprint)
        except ShieldwallError as error:
            self.journal.trouble("attestationFailed", error)
            if not isinstance(error, ProblemAnswerError) or error.problem.status not in _FINAL:
                return
        self.state.wishes.drop_attestation()

    def renew(self) -> None:
        """Get a new certificate for the key in use. Raises: ShieldwallError."""
        sequence = self.state.next_sequence()
        request = RenewRequest(seq=sequence.seq, epoch=sequence.epoch)
        answer = self.gateway.ask(self._path("renew"), request, RenewAnswer)
        if answer is None:
            raise UnusableAnswerError("The server's answer to the renewal holds no certificate.")
        self._check(answer.certificate, self.gateway.key)
        self.state.put_certificate(answer.certificate)
        self.journal.say("certificateRenewed")

    def change_key(self) -> None:
        """Go over to a new key. Raises: ShieldwallError; one of the two keys works all the same."""
        self._change_to(self.state.find_next_key() or self.state.make_next_key())

    def _is_unfinished(self, following: SigningKey) -> bool:
        if following.thumbprint != self.gateway.key.thumbprint:
            return True
        self.state.drop_next_key()  # it is the device key already; should its certificate be missing, one is due
        return False

    def _finish(self, following: SigningKey) -> None:
        try:
            self._change_to(following)
        except ProblemAnswerError as refusal:
            if refusal.problem.code != _UNKNOWN_KEY or not self._is_known(following):
                raise
            self._use(following)

    def _change_to(self, following: SigningKey) -> None:
        from shieldwall.trust.certificate_request import build_request  # noqa: PLC0415 - megabytes, needed every two years

        tenant_id = self.state.get_identity().server.tenant_id
        nonce = self.gateway.ask_unsigned(f"/{tenant_id}/EnrollmentServer/nonce", Empty(), NonceAnswer).nonce
        csr = base64.b64encode(build_request(following, nonce)).decode("ascii")
        sequence = self.state.next_sequence()
        request = KeyChangeRequest(
            seq=sequence.seq, epoch=sequence.epoch, certificate_request=CertificateRequest(type="pkcs10", data=csr)
        )
        try:
            answer = self.gateway.ask(self._path("keyChange"), request, KeyChangeAnswer)
        except ProblemAnswerError as refusal:
            if refusal.problem.code == _SPENT_KEY:
                self.state.drop_next_key()  # it was an identity once, and can never be ours
            raise
        if answer is None:
            raise UnusableAnswerError("The server's answer to the key change holds no certificate.")
        self._check(answer.certificate, following)
        self._use(following, answer.certificate)

    def _is_known(self, following: SigningKey) -> bool:
        """Find out whether the server knows the next key already, by asking something with it."""
        present = self.gateway.key
        self.gateway.key = following
        try:
            self.renew()
        except ProblemAnswerError as refusal:
            return refusal.problem.code == _NUMBERS_REFUSED  # asked of a device that it knows
        finally:
            self.gateway.key = present
        return True

    def _use(self, following: SigningKey, certificate: str | None = None) -> None:
        self.state.wishes.put_attestation()  # the server knows nothing of where the new key lives
        self.state.put_key(following)
        self.gateway.key = following
        kept = self.state.get_identity().certificate if certificate is None else certificate
        self.state.put_certificate(kept, key_since=moments.write(self.clock.now()))
        self.state.drop_next_key()
        self.journal.say("keyChanged", key=following.thumbprint)

    def _path(self, verb: str) -> str:
        identity = self.state.get_identity()
        return f"/{identity.server.tenant_id}/EnrollmentServer/device/{identity.device_id}/{verb}"

    def _check(self, certificate: str, key: SigningKey) -> None:
        from shieldwall.trust.device_certificate import (  # noqa: PLC0415 - as above
            BadDeviceCertificateError,
            read_certificate,
        )

        try:
            is_ours = read_certificate(certificate).key == key.thumbprint
        except BadDeviceCertificateError as error:
            raise UnusableAnswerError(f"The server's certificate cannot be used: {error.cause}") from error
        if not is_ours:
            raise UnusableAnswerError("The server's certificate is for another key.")


def is_certificate_due(identity: Identity, key: SigningKey, now: datetime) -> bool:
    """Say whether it is time to renew; at once for a certificate that cannot be read or is another key's."""
    outline = read_outline(identity.certificate)
    if outline is None or not outline.is_for(key.public_key):
        return True
    return now >= outline.not_before + RENEW_AFTER + spread(identity.device_id)


def is_key_due(identity: Identity, now: datetime) -> bool:
    """Say whether the key has been in use for two years; one of unknown age is not."""
    try:
        since = moments.parse(identity.key_since or identity.registered_at)
    except ValueError:
        return False
    return now >= since + KEY_LIFE + spread(identity.device_id)


def spread(device_id: DeviceId) -> timedelta:
    """Return a device's own moment within plus or minus ten days."""
    share = int.from_bytes(hashlib.sha256(f"upkeep {device_id}".encode()).digest()[:4], "big") / 2**32
    return SPREAD * (2 * share - 1)
