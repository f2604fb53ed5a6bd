"""Devices as a load needs them: a key, how far each has counted, and what it last heard and said."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from shieldwall import __version__
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import DeviceId, Digest
from shieldwall.contract.messages import PROTOCOL, CheckInAnswer, CheckInRequest, DeviceFacts, Have, Manifest
from shieldwall.contract.status import StatusReport
from shieldwall.contract.strict_json import decode, digest_of, encode
from shieldwall.trust.device_key import DeviceKey, SigningKey
from shieldwall.trust.request_signature import sign_request

PATH: Final = "/device/v1/checkin"
BOOT: Final = "simulated"
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (FIPS 186-4, D.1.2.3): private keys lie below it."""
_ID: Final = "51d0e000-0000-4000-8000-"


@dataclass(slots=True)
class LoadDevice:
    """One device. What it says follows from its number; what it knows, from the answers it got."""

    number: int
    id: DeviceId
    key: SigningKey
    instance_id: str
    epoch: int = 1
    seq: int = 0
    target: Digest | None = None
    report: StatusReport | None = None
    acknowledged: Digest | None = None
    """Of the last report that the server took."""
    knows_facts: bool = False
    failures: int = 0
    first_try: float | None = None
    """When it first tried to be served, of a herd."""
    wants_report: bool = False
    pending: bytes | None = None
    """A body that was sent and not answered: the same one goes out again."""
    facts: DeviceFacts = field(init=False)

    def __post_init__(self) -> None:
        """Say what it is."""
        self.facts = DeviceFacts(display_name=f"simulated-{self.number}", os_type="Linux", os_version="Debian 12")

    def body(self, *, with_report: bool = False) -> bytes:
        """Write the next check-in, or the last one again, where nobody answered that."""
        if self.pending is not None:
            return self.pending
        self.seq += 1
        if with_report or self.wants_report:
            self.report = StatusReport(target=self.target)
        status = None if self.report is None else digest_of(self.report)
        self.pending = encode(
            CheckInRequest(
                seq=self.seq,
                epoch=self.epoch,
                instance_id=self.instance_id,
                boot_id=BOOT,
                agent_version=__version__,
                protocol=PROTOCOL,
                have=Have(target=self.target, facts=digest_of(self.facts), status=status),
                facts=None if self.knows_facts else self.facts,
                report=self.report if with_report or self.wants_report else None,
            )
        )
        return self.pending

    def wire(self, authority: str, body: bytes, now: float) -> bytes:
        """Sign a body, and write the whole request as it goes over the wire."""
        nonce = hashlib.blake2s(body, digest_size=16, salt=int(now).to_bytes(8, "big")).hexdigest()
        headers = sign_request(
            self.key, method="POST", authority=authority, path=PATH, body=body, created=int(now), nonce=nonce
        )
        lines = [f"POST {PATH} HTTP/1.1", f"Host: {authority}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    def served(self, status: int, body: bytes, *, had_report: bool) -> None:
        """Take an answer in: 204, or 200 with what to do next."""
        self.pending, self.failures, self.knows_facts, self.wants_report = None, 0, True, False
        if had_report and self.report is not None:
            self.acknowledged = digest_of(self.report)
        if status != 200:
            return
        try:
            answer = decode(body, CheckInAnswer)
            if answer.manifest is not None:
                self.target = decode(base64.b64decode(answer.manifest.payload), Manifest).target
        except InvalidJsonError:
            return
        self.knows_facts = "facts" not in answer.want
        self.wants_report = "report" in answer.want or answer.manifest is not None


def device_of(number: int, seed: str) -> LoadDevice:
    """Return the device of this number: key and ids follow from it and the seed, so that any run may speak for it."""
    secret = hashlib.sha512(f"shieldwall-sim/{seed}/{number}".encode()).digest()
    scalar = int.from_bytes(secret, "big") % (_ORDER - 1) + 1
    instance = hashlib.sha256(secret).hexdigest()[:32]
    key = DeviceKey(ec.derive_private_key(scalar, ec.SECP256R1()))
    return LoadDevice(number=number, id=id_of(number), key=key, instance_id=instance)


def id_of(number: int) -> DeviceId:
    """Return the id of a device that was written straight into the tables."""
    return DeviceId(f"{_ID}{number:012x}")
