"""Signatures that are nearly right: each takes the headers of a sound request and spoils them in one place."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Final, TypeAlias

from tests.support.gateway_device import GatewayDevice

from shieldwall.trust.device_key import public_key_bytes, public_key_info
from shieldwall.trust.request_signature import signature_base

Headers: TypeAlias = dict[str, str]
Forge: TypeAlias = Callable[[Headers], Headers]

ALGORITHMS: Final = ("hmac-sha256", "ed25519", "rsa-pss-sha512", "rsa-v1_5-sha256", "ecdsa-p384-sha384", "none", "")
"""Algorithms that RFC 9421 knows, and that no device here has registered."""
COVERED: Final = ("@method", "@authority", "@path", "@query", "content-type", "content-digest")


def without(name: str) -> Forge:
    return lambda headers: {key: value for key, value in headers.items() if key != name}


def replaced(name: str, old: str, new: str) -> Forge:
    def change(headers: Headers) -> Headers:
        assert old in headers[name]
        return headers | {name: headers[name].replace(old, new, 1)}

    return change


def doubled(name: str) -> Forge:
    """Send a header in two lines."""
    return lambda headers: headers | {name.lower(): headers[name]}


def listed_twice(name: str) -> Forge:
    """Send two members of the same name in one line."""
    return lambda headers: headers | {name: f"{headers[name]}, {headers[name]}"}


def of_another_body(headers: Headers) -> Headers:
    return headers | {"Content-Digest": f"sha-256=:{_digest('sha256')}:"}


def by_another_hash(name: str, algorithm: str) -> Forge:
    return lambda headers: headers | {"Content-Digest": f"{name}=:{_digest(algorithm)}:"}


def beside_another_hash(headers: Headers) -> Headers:
    return headers | {"Content-Digest": f"{headers['Content-Digest']}, sha-512=:{_digest('sha512')}:"}


def _digest(algorithm: str) -> str:
    return base64.b64encode(hashlib.new(algorithm, b"another", usedforsecurity=False).digest()).decode()


FORGERIES: Final[dict[str, Forge]] = {
    "no signature": without("Signature"),
    "no signature input": without("Signature-Input"),
    "no digest": without("Content-Digest"),
    "an empty signature": lambda headers: headers | {"Signature": ""},
    "a garbled signature": replaced("Signature", "sw=:", "sw=:!"),
    "a signature that is no base64": lambda headers: headers | {"Signature": "sw=:" + "%" * 88 + ":"},
    "a signature without its colons": lambda headers: headers | {"Signature": headers["Signature"].replace(":", "")},
    "a signature too long": replaced("Signature", "sw=:", "sw=:" + "A" * 8),
    "a signature too short": replaced("Signature", "==:", ":"),
    "a made-up signature": lambda headers: headers | {"Signature": f"sw=:{base64.b64encode(b'x' * 64).decode()}:"},
    "a signature of zeros": lambda headers: headers | {"Signature": f"sw=:{base64.b64encode(bytes(64)).decode()}:"},
    "two signatures": doubled("Signature"),
    "two inputs": doubled("Signature-Input"),
    "two digests": doubled("Content-Digest"),
    "the label twice": listed_twice("Signature"),
    "the input twice": listed_twice("Signature-Input"),
    "the digest twice": listed_twice("Content-Digest"),
    "two kinds of digest": beside_another_hash,
    "an extra label": lambda headers: headers | {"Signature": headers["Signature"] + ", two=:AAAA:"},
    "an extra input": lambda headers: (
        headers | {"Signature-Input": headers["Signature-Input"] + headers["Signature-Input"].replace("sw=", ", two=")}
    ),
    "another label": replaced("Signature-Input", "sw=", "sx="),
    "another tag": replaced("Signature-Input", "shieldwall-device-v1", "shieldwall-device-v2"),
    "no tag": replaced("Signature-Input", ';tag="shieldwall-device-v1"', ""),
    "another order": replaced("Signature-Input", '"@path" "@query"', '"@query" "@path"'),
    "another component": replaced("Signature-Input", "@path", "@target-uri"),
    "a component more": replaced("Signature-Input", ' "@query"', ' "@query" "host"'),
    "a component twice": replaced("Signature-Input", ' "@query"', ' "@query" "@query"'),
    "nothing covered": replaced("Signature-Input", " ".join(f'"{each}"' for each in COVERED), ""),
    "the digest of another body": of_another_body,
    "another nonce": replaced("Signature-Input", 'nonce="', 'nonce="a'),
    "no nonce": replaced("Signature-Input", ";nonce=", ";n0nce="),
    "an unknown key": replaced("Signature-Input", 'keyid="', 'keyid="A'),
    "another moment": lambda headers: headers | {"Signature-Input": _a_second_later(headers["Signature-Input"])},
    **{
        f"without {each}": replaced("Signature-Input", f'"{each}"' + ("" if each == COVERED[-1] else " "), "")
        for each in COVERED
    },
    **{f"alg {each!r}": replaced("Signature-Input", "ecdsa-p256-sha256", each) for each in ALGORITHMS},
    **{
        f"digest {name}": by_another_hash(name, algorithm)
        for name, algorithm in (("sha", "sha1"), ("md5", "md5"), ("sha-512", "sha512"), ("sha-384", "sha384"))
    },
}
"""By name; the sender of each gets the one answer to whatever is not signed."""


def with_a_mac(device: GatewayDevice, path: str, body: bytes, *, algorithm: str, raw: bool) -> Headers:
    """Sign with a MAC whose secret everybody knows: the public key, as a point or as it stands in certificates."""
    headers = device.sign(path, body)
    parameters = headers["Signature-Input"].removeprefix("sw=").replace("ecdsa-p256-sha256", algorithm)
    base = signature_base(
        method="POST",
        authority=device.world.authority,
        path=path,
        query="",
        content_type=headers["Content-Type"],
        digest=headers["Content-Digest"],
        parameters=parameters,
    )
    public = device.key.public_key
    mac = hmac.digest(public_key_bytes(public) if raw else public_key_info(public), base, "sha256")
    padded = base64.b64encode(mac.ljust(64, b"\0")).decode()  # as long as our signatures, to get further
    return headers | {"Signature-Input": f"sw={parameters}", "Signature": f"sw=:{padded}:"}


def timed(headers: Headers, device: GatewayDevice, path: str, *, created: int, expires: int) -> Headers:
    """Sign soundly, for other moments than the profile's."""
    _, _, following = headers["Signature-Input"].partition(";nonce=")
    covered = headers["Signature-Input"].removeprefix("sw=").partition(";")[0]
    parameters = f"{covered};created={created};expires={expires};nonce={following}"
    base = signature_base(
        method="POST",
        authority=device.world.authority,
        path=path,
        query="",
        content_type=headers["Content-Type"],
        digest=headers["Content-Digest"],
        parameters=parameters,
    )
    signature = base64.b64encode(device.key.sign(base)).decode()
    return headers | {"Signature-Input": f"sw={parameters}", "Signature": f"sw=:{signature}:"}


def _a_second_later(value: str) -> str:
    created = value.partition(";created=")[2].partition(";")[0]
    return value.replace(f";created={created}", f";created={int(created) + 1}")
