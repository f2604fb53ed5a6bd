"""The state directory: everything the agent must find again after a crash.

``device.key``        the private key, or what a TPM needs to use it; readable for its owner alone
``device.key.next``   the key that shall follow; on disk before the server hears of it, gone once it is ``device.key``
``pending.json``      a registration on its way; gone once ``identity.json`` is there
``identity.json``     device id, certificate, server, trust root; written last when onboarding: its presence is the mark
``instance.json``     the id of this installation, and the machine it was drawn for
``sequence.json``     the last sequence number, on disk before the request that carries it is sent
``manifest.json``     the manifest being enforced (signed envelope); replaced only after all its policies are stored
``policies/DIGEST``   policy envelopes by the digest of their payload
``report.json``       the last status report
``standing.json``     acknowledged digests, last check-in, last trouble
``time.json``         offset of trusted time, and its floor
``wish``              names the last request to check in now, by ``shieldwall-agent sync``
``leaving.json``      a departure that was ordered or allowed, and is carried through; removed last
``troubleshooting.json``  how much time for troubleshooting is left
``attempts/NAME``     attempts to undo what is managed, of which the server has not heard
``seals.json``        digest of the identity as the agent wrote it, on disk before it is
``own-files.json``    how the agent's program and unit looked
``rotate``            there while somebody waits for a key change, by ``shieldwall-agent rotate-key``
``attest``            there while the device key is to be attested: it is new, or somebody asked for it
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from shieldwall.agent.applier.window import Window
from shieldwall.agent.service.device_keys import OpenTpm, make_key, read_key, write_key
from shieldwall.agent.service.disk import Disk
from shieldwall.agent.service.errors import NotOnboardedError, StateCorruptError
from shieldwall.agent.service.key_vaults import KeyVault
from shieldwall.agent.service.records import (
    Identity,
    InstanceRecord,
    Leaving,
    OwnFilesRecord,
    PendingRegistration,
    SequenceRecord,
    Standing,
    TimeRecord,
)
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, Digest
from shieldwall.contract.messages import Envelope
from shieldwall.contract.status import StatusReport
from shieldwall.contract.strict_json import decode, digest_of_bytes, encode
from shieldwall.trust.device_key import BadDeviceKeyError, SigningKey

T = TypeVar("T")

KEY: Final = "device.key"
NEXT_KEY: Final = "device.key.next"
INSTANCE: Final = "instance.json"
PENDING: Final = "pending.json"
IDENTITY: Final = "identity.json"
SEQUENCE: Final = "sequence.json"
MANIFEST: Final = "manifest.json"
POLICIES: Final = "policies"
REPORT: Final = "report.json"
STANDING: Final = "standing.json"
TIME: Final = "time.json"
WISH: Final = "wish"
LEAVING: Final = "leaving.json"
TROUBLESHOOTING: Final = "troubleshooting.json"
ATTEMPTS: Final = "attempts"
SEALS: Final = "seals.json"
OWN_FILES: Final = "own-files.json"
ROTATE: Final = "rotate"
ATTEST: Final = "attest"


_SMALL_BYTES: Final = 16 * 1024
_place: Final = lru_cache(maxsize=64)(Path.joinpath)


@lru_cache(maxsize=16)
def _read(content: bytes, kind: type[T]) -> T:
    """Understand a small document once: a check-in reads the same ones again and again, and their bytes tell all."""
    return decode(content, kind)


@lru_cache(maxsize=1)
def _read_report(content: bytes) -> StatusReport:
    """Understand the last report once: every look for drift holds what it found against it."""
    return decode(content, StatusReport)


class AgentState(Struct, frozen=True, kw_only=True):
    """Typed access to the state directory; every write is on disk when it returns.

    Every method may raise ``HostError`` (the disk is full or fails), and every reading one ``StateCorruptError``.
    """

    directory: Path
    disk: Disk
    open_tpm: OpenTpm | None = None
    """Opens this machine's TPM, where it has one: keys are then made in it."""
    vault: KeyVault | None = None
    """Where keys are made on systems that have a place of their own for them."""

    # Identity

    def find_key(self) -> SigningKey | None:
        """Read the device key."""
        return self._find_key(KEY)

    def make_key(self) -> SigningKey:
        """Make a new device key in the safest place there is, and store it."""
        key = make_key(self.open_tpm, self.vault)
        self.put_key(key)
        return key

    def put_key(self, key: SigningKey) -> None:
        """Store the device key."""
        self.disk.write(self.directory / KEY, write_key(key))

    def find_next_key(self) -> SigningKey | None:
        """Read the key that shall follow, if a key change has begun and not ended."""
        return self._find_key(NEXT_KEY)

    def make_next_key(self) -> SigningKey:
        """Make the key that shall follow, and store it beside the present one."""
        key = make_key(self.open_tpm, self.vault)
        self.disk.write(self.directory / NEXT_KEY, write_key(key))
        return key

    def drop_next_key(self) -> None:
        """End a key change: its key is the device key by now, or never will be."""
        self.disk.remove(self.directory / NEXT_KEY)

    def get_key(self) -> SigningKey:
        """Read the device key. Raises: NotOnboardedError."""
        key = self.find_key()
        if key is None:
            raise NotOnboardedError(f"{self.directory} holds no device key.")
        return key

    def find_identity(self) -> Identity | None:
        """Read who this device is."""
        return self._find(IDENTITY, Identity)

    def get_identity(self) -> Identity:
        """Read who this device is. Raises: NotOnboardedError."""
        identity = self.find_identity()
        if identity is None:
            raise NotOnboardedError(f"{self.directory} holds no identity: this device is not onboarded.")
        return identity

    def find_pending(self) -> PendingRegistration | None:
        """Read the registration that is on its way."""
        return self._find(PENDING, PendingRegistration)

    def get_pending(self) -> PendingRegistration:
        """Read the registration that is on its way. Raises: NotOnboardedError."""
        pending = self.find_pending()
        if pending is None:
            raise NotOnboardedError(f"{self.directory} holds no registration that is on its way.")
        return pending

    def put_pending(self, pending: PendingRegistration) -> None:
        """Keep a registration before it is sent."""
        self._put(PENDING, pending)

    def drop_pending(self) -> None:
        """Forget a registration that was answered."""
        self.disk.remove(self.directory / PENDING)

    def put_identity(self, identity: Identity, *, epoch: int) -> None:
        """Become this device; the sequence starts before the identity exists."""
        self._put(SEQUENCE, SequenceRecord(epoch=epoch, seq=0))
        self._put(IDENTITY, identity)
        self.drop_pending()

    def put_certificate(self, certificate: str, *, key_since: str | None = None) -> None:
        """Replace the certificate, after a key change also the moment of that. Raises: NotOnboardedError."""
        identity = self.get_identity()
        since = identity.key_since if key_since is None else key_since
        self._put(IDENTITY, msgspec.structs.replace(identity, certificate=certificate, key_since=since))

    def find_instance(self) -> InstanceRecord | None:
        """Read the id of this installation; a damaged record counts as none, for an id can be drawn again."""
        try:
            return self._find(INSTANCE, InstanceRecord)
        except StateCorruptError:
            return None

    def put_instance(self, record: InstanceRecord) -> None:
        """Keep the id of this installation."""
        self._put(INSTANCE, record)

    def is_rotation_wished(self) -> bool:
        """Say whether somebody waits for a key change."""
        return self.disk.read(self.directory / ROTATE) is not None

    def wish_rotation(self) -> None:
        """Ask for a key change at the next check-in."""
        self.disk.write(self.directory / ROTATE, b"")

    def is_attestation_wished(self) -> bool:
        """Say whether the device key is to be attested."""
        return self.disk.read(self.directory / ATTEST) is not None

    def wish_attestation(self) -> None:
        """Ask for the device key to be attested at the next check-in."""
        self.disk.write(self.directory / ATTEST, b"")

    def drop_attestation(self) -> None:
        """End the wait for an attestation."""
        self.disk.remove(self.directory / ATTEST)

    def drop_rotation(self) -> None:
        """End the wait for a key change."""
        self.disk.remove(self.directory / ROTATE)

    def forget(self) -> None:
        """Leave management: the identity goes first, so that nothing half remembered is ever used."""
        secret = (KEY, NEXT_KEY)
        wishes = (WISH, ROTATE, ATTEST)
        for name in (IDENTITY, PENDING, *secret, INSTANCE, SEQUENCE, MANIFEST, REPORT, STANDING, TIME, *wishes):
            self.disk.remove(self.directory / name)
        self.keep_policies(())
        for waiting in self.disk.names(self.directory / ATTEMPTS):
            self.disk.remove(self.directory / ATTEMPTS / waiting)
        for name in (SEALS, OWN_FILES, TROUBLESHOOTING, LEAVING):
            self.disk.remove(self.directory / name)

    def forget_past_life(self) -> None:
        """Forget the rest of an identity where that was interrupted: a spent key must never be used again."""
        if (
            self.disk.read(self.directory / LEAVING) is not None
            and self.find_identity() is None
            and self.find_pending() is None
        ):
            self.forget()

    # Leaving, and what protects this device

    def find_leaving(self, device_id: DeviceId) -> Leaving | None:
        """Read whether this device is about to leave; what speaks of another one is left from a past life."""
        leaving = self._find(LEAVING, Leaving)
        return leaving if leaving is not None and leaving.device_id == device_id else None

    def put_leaving(self, leaving: Leaving) -> None:
        """Begin to leave: from now on a restart goes on with it."""
        self._put(LEAVING, leaving)

    def find_troubleshooting(self) -> Window | None:
        """Read how much time for troubleshooting is left."""
        return self._find(TROUBLESHOOTING, Window)

    def put_troubleshooting(self, record: Window) -> None:
        """Keep how much time for troubleshooting is left."""
        self._put(TROUBLESHOOTING, record)

    def drop_troubleshooting(self) -> None:
        """Forget a time for troubleshooting that nobody speaks of any more."""
        if self.disk.read(self.directory / TROUBLESHOOTING) is not None:
            self.disk.remove(self.directory / TROUBLESHOOTING)

    def find_own_files(self) -> OwnFilesRecord | None:
        """Read how the agent's files looked; a damaged record counts as none."""
        try:
            return self._find(OWN_FILES, OwnFilesRecord)
        except StateCorruptError:
            return None

    def put_own_files(self, record: OwnFilesRecord) -> None:
        """Keep how the agent's files look."""
        self._put(OWN_FILES, record)

    def is_seal_broken(self) -> bool:
        """Say whether somebody else wrote in the place of the identity; each change is told once."""
        content, accepted = self.disk.read(self.directory / IDENTITY), self._seals()
        if content is None or digest_of_bytes(content) in accepted:
            return False
        self._put(SEALS, (digest_of_bytes(content),))
        return bool(accepted)  # an identity that an older agent wrote is sealed as it is found

    def _seal(self, content: bytes) -> None:
        """Note what is about to be written; until it is, what stands there is right as well."""
        self._put(SEALS, tuple(dict.fromkeys((*self._seals()[-1:], digest_of_bytes(content)))))

    def _seals(self) -> tuple[Digest, ...]:
        try:
            return self._find(SEALS, tuple[Digest, ...]) or ()
        except StateCorruptError:
            return ()

    # Sequence

    def next_sequence(self) -> SequenceRecord:
        """Take the next sequence number: it is spent from now on, whether or not the request ever leaves."""
        last = self._find(SEQUENCE, SequenceRecord)
        if last is None:
            raise StateCorruptError(
                f"{self.directory / SEQUENCE} is missing, and a lower number would look like a clone."
            )
        following = SequenceRecord(epoch=last.epoch, seq=last.seq + 1)
        self._put(SEQUENCE, following)
        return following

    def restart_sequence(self, epoch: int) -> None:
        """Count anew in another epoch."""
        self._put(SEQUENCE, SequenceRecord(epoch=epoch, seq=0))

    # What to enforce

    def find_manifest(self) -> Envelope | None:
        """Read the manifest being enforced; a damaged one counts as none, for the server gives it again."""
        try:
            return self._find(MANIFEST, Envelope)
        except StateCorruptError:
            return None

    def put_manifest(self, manifest: Envelope) -> None:
        """Switch to another manifest, whose policies are all stored."""
        self._put(MANIFEST, manifest)

    def drop_manifest(self) -> None:
        """Forget the manifest: the server gives a newer one."""
        self.disk.remove(self.directory / MANIFEST)

    def find_policy(self, digest: Digest) -> Envelope | None:
        """Read a policy envelope; a damaged one counts as none, for the server gives it again."""
        try:
            return self._find(f"{POLICIES}/{digest}", Envelope)
        except StateCorruptError:
            return None

    def put_policy(self, digest: Digest, envelope: Envelope) -> None:
        """Store a policy envelope under the digest of its payload."""
        self._put(f"{POLICIES}/{digest}", envelope)

    def keep_policies(self, digests: Collection[Digest]) -> None:
        """Remove every policy envelope but these."""
        for name in self.disk.names(self.directory / POLICIES):
            if name not in digests:
                self.disk.remove(self.directory / POLICIES / name)

    # Where we stand

    def find_report(self) -> StatusReport | None:
        """Read the last report; a damaged one counts as none, for it is made anew."""
        content = self.disk.read(self.directory / REPORT)
        try:
            return None if content is None else _read_report(content)
        except ShieldwallError:
            return None

    def put_report(self, report: StatusReport) -> None:
        """Keep the newest report."""
        self._put(REPORT, report)

    def standing(self) -> Standing:
        """Read where device and server stand."""
        return self._find(STANDING, Standing) or Standing()

    def put_standing(self, standing: Standing) -> None:
        """Keep where device and server stand."""
        self._put(STANDING, standing)

    def time(self) -> TimeRecord:
        """Read how trusted time stands to the local clock."""
        return self._find(TIME, TimeRecord) or TimeRecord()

    def put_time(self, record: TimeRecord) -> None:
        """Keep how trusted time stands to the local clock."""
        self._put(TIME, record)

    def wish(self) -> str:
        """Read the name of the last request to check in now."""
        content = self.disk.read(self.directory / WISH) or b""
        return content.decode("ascii", errors="replace")

    def put_wish(self, name: str) -> None:
        """Ask for a check-in, under a name by which its end can be recognised."""
        self.disk.write(self.directory / WISH, name.encode("ascii"))

    def _find_key(self, name: str) -> SigningKey | None:
        content = self.disk.read(self.directory / name)
        if content is None:
            return None
        try:
            return read_key(content, self.open_tpm, self.vault)
        except BadDeviceKeyError as error:
            raise StateCorruptError(f"{self.directory / name} does not hold a device key.") from error

    def _find(self, name: str, kind: type[T]) -> T | None:
        content = self.disk.read(_place(self.directory, name))
        if content is None:
            return None
        try:
            if len(content) > _SMALL_BYTES:
                return decode(content, kind)
            found: T = _read(content, kind)  # type: ignore[arg-type]  # types are hashable
        except ShieldwallError as error:  # not our JSON, or a trust root that contradicts itself
            raise StateCorruptError(f"{self.directory / name} is damaged: {error.cause}") from error
        return found

    def _put(self, name: str, value: object) -> None:
        content = encode(value)
        if name == IDENTITY:
            self._seal(content)
        self.disk.write(_place(self.directory, name), content)
