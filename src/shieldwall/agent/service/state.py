"""What the agent must find again after a crash, by what it means to it; ``state_files`` says which file holds what."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

import msgspec

from shieldwall.agent.applier.window import Window
from shieldwall.agent.service.device_keys import OpenTpm, make_key, read_key, write_key
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
from shieldwall.agent.service.state_files import (
    ATTEMPTS,
    IDENTITY,
    INSTANCE,
    KEY,
    LEAVING,
    MANIFEST,
    NEXT_KEY,
    OWN_FILES,
    PENDING,
    POLICIES,
    REPORT,
    SEALS,
    SEQUENCE,
    STANDING,
    TIME,
    TROUBLESHOOTING,
    StateFiles,
)
from shieldwall.agent.service.wishes import Wishes
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, Digest
from shieldwall.contract.messages import Envelope
from shieldwall.contract.status import StatusReport
from shieldwall.contract.strict_json import decode
from shieldwall.trust.device_key import BadDeviceKeyError, SigningKey


@lru_cache(maxsize=1)
def _read_report(content: bytes) -> StatusReport:
    """Understand the last report once: every look for drift holds what it found against it."""
    return decode(content, StatusReport)


class AgentState(StateFiles, frozen=True, kw_only=True):
    """Typed access to the state directory; every write is on disk when it returns.

    Every method may raise ``HostError`` (the disk is full or fails), and every reading one ``StateCorruptError``.
    """

    open_tpm: OpenTpm | None = None
    """Opens this machine's TPM, where it has one: keys are then made in it."""
    vault: KeyVault | None = None
    """Where keys are made on systems that have a place of their own for them."""

    @property
    def wishes(self) -> Wishes:
        """What somebody on this machine waits for."""
        return Wishes(directory=self.directory, disk=self.disk)

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
        return self._find_sound(INSTANCE, InstanceRecord)

    def put_instance(self, record: InstanceRecord) -> None:
        """Keep the id of this installation."""
        self._put(INSTANCE, record)

    def forget(self) -> None:
        """Leave management: the identity goes first, so that nothing half remembered is ever used."""
        secret = (KEY, NEXT_KEY)
        for name in (IDENTITY, PENDING, *secret, INSTANCE, SEQUENCE, MANIFEST, REPORT, STANDING, TIME):
            self.disk.remove(self.directory / name)
        self.wishes.forget()
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
        return self._find_sound(OWN_FILES, OwnFilesRecord)

    def put_own_files(self, record: OwnFilesRecord) -> None:
        """Keep how the agent's files look."""
        self._put(OWN_FILES, record)

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
        return self._find_sound(MANIFEST, Envelope)

    def put_manifest(self, manifest: Envelope) -> None:
        """Switch to another manifest, whose policies are all stored."""
        self._put(MANIFEST, manifest)

    def drop_manifest(self) -> None:
        """Forget the manifest: the server gives a newer one."""
        self.disk.remove(self.directory / MANIFEST)

    def find_policy(self, digest: Digest) -> Envelope | None:
        """Read a policy envelope; a damaged one counts as none, for the server gives it again."""
        return self._find_sound(f"{POLICIES}/{digest}", Envelope)

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

    def _find_key(self, name: str) -> SigningKey | None:
        content = self.disk.read(self.directory / name)
        if content is None:
            return None
        try:
            return read_key(content, self.open_tpm, self.vault)
        except BadDeviceKeyError as error:
            raise StateCorruptError(f"{self.directory / name} does not hold a device key.") from error
