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

from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

from shieldwall.agent.service.disk import Disk
from shieldwall.agent.service.errors import StateCorruptError
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import Digest
from shieldwall.contract.strict_json import decode, digest_of_bytes, encode

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


class StateFiles(Struct, frozen=True, kw_only=True):
    """Documents in the state directory by their names, and the seal on the one that says who this device is."""

    directory: Path
    disk: Disk

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
        return self._find_sound(SEALS, tuple[Digest, ...]) or ()

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

    def _find_sound(self, name: str, kind: type[T]) -> T | None:
        """Read what can be had again: a damaged one counts as none."""
        try:
            return self._find(name, kind)
        except StateCorruptError:
            return None

    def _put(self, name: str, value: object) -> None:
        content = encode(value)
        if name == IDENTITY:
            self._seal(content)
        self.disk.write(_place(self.directory, name), content)
