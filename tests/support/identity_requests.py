"""What a device asks about its own identity: paths and bodies of its renewals and changes of key."""

from __future__ import annotations

import base64

from tests.support.gateway_device import GatewayDevice

from shieldwall.contract import strict_json
from shieldwall.contract.registration import CertificateRequest, KeyChangeRequest, RenewRequest
from shieldwall.trust.certificate_request import build_request
from shieldwall.trust.device_key import SigningKey


def own(device: GatewayDevice, verb: str) -> str:
    """Return the path of something that a device does about itself."""
    return f"{device.enrollment}/device/{device.device_id}/{verb}"


def renewal(device: GatewayDevice) -> bytes:
    """Write the next renewal of a device."""
    return strict_json.encode(strict_json.convert(device.numbered(), RenewRequest))


def key_change(device: GatewayDevice, new: SigningKey, nonce: str | None = None) -> bytes:
    """Write the next request of a device to take a new key for its old one; without ``nonce`` it gets one first."""
    device.seq += 1
    csr = base64.b64encode(build_request(new, nonce or device.nonce())).decode()
    request = CertificateRequest(type="pkcs10", data=csr)
    return strict_json.encode(KeyChangeRequest(seq=device.seq, epoch=device.epoch, certificate_request=request))
