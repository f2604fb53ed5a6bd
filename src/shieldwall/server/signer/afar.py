"""Asking the signer of another machine: TLS 1.3, each end shows a certificate of an authority made for nothing else.

The signer's own machine keeps in ``hosts`` a certificate of each machine that may ask, in a file that names its role:
``NAME.gateway.pem``. Who is not there is not heard, and who is removed is not heard any more.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

DOOR_NAME: Final = "signer.shieldwall.internal"
"""What the signer's machine is called in its certificate, whatever its address is."""


def hosts_directory(data: Path) -> Path:
    """Return where the signer's machine keeps who may ask, and the authority that vouches for them."""
    return data / "hosts"


def door_context(data: Path) -> ssl.SSLContext:
    """Make the signer's end. Raises: OSError."""
    home = hosts_directory(data)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(home / "door.crt", home / "door.key")
    context.load_verify_locations(cafile=str(home / "authority.crt"))
    return context


def dialling(data: Path, host: str, port: int) -> Callable[[float], socket.socket]:
    """Return what connects a machine with the settings in ``data`` to the signer elsewhere; it raises OSError."""

    def dial(timeout: float) -> socket.socket:
        context = ssl.create_default_context(cafile=str(data / "tls" / "signer-authority.pem"))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(data / "tls" / "signer-client.pem", data / "tls" / "signer-client.key")
        plain = socket.create_connection((host, port), timeout=timeout)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            return context.wrap_socket(plain, server_hostname=DOOR_NAME)
        except OSError:
            plain.close()
            raise

    return dial


def role_of(data: Path, certificate: bytes) -> str | None:
    """Return the role of the machine with this certificate (DER), or ``None`` where it may not ask."""
    shown = hashlib.sha256(certificate).digest()
    for file in hosts_directory(data).glob("*.*.pem"):
        try:
            known = ssl.PEM_cert_to_DER_cert(file.read_text("ascii"))
        except (OSError, ValueError):
            continue
        if hashlib.sha256(known).digest() == shown:
            return file.suffixes[-2].removeprefix(".")
    return None
