"""Reading packages: refused before a single byte goes out when anything about the file is odd.

An onboarding package holds a secret, so nobody else may read it; an offboarding package holds none, and nobody else may
have written it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from shieldwall.agent.host.opening import NEVER_WAITS, NOT_FOLLOWED, OURS_ALONE
from shieldwall.agent.service.errors import UnsuitablePackageError
from shieldwall.agent.service.records import Identity
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.messages import Envelope
from shieldwall.contract.strict_json import decode
from shieldwall.trust.offboarding import OffboardingPackage, open_offboarding
from shieldwall.trust.onboarding import MAX_PACKAGE_BYTES, OnboardingPackage, PackageMalformedError, open_package


class Leave(Struct, frozen=True, kw_only=True):
    """An offboarding package that was believed, and the envelope by which others can believe it."""

    package: OffboardingPackage
    envelope: Envelope


def read_package(path: Path, now: datetime) -> OnboardingPackage:
    """Read and verify a package file.

    Raises:
        UnsuitablePackageError: The file is a link, not a file, readable or writable by everybody, or too large.
        InvalidPackageError: Its content is not a package of today; the code says why.
    """
    forbidden = {
        stat.S_IROTH: "readable by everybody on this machine; it holds a secret",
        stat.S_IWOTH: "writable by everybody on this machine; it says whom to obey",
    }
    return open_package(_content(path, forbidden), now)


def offboarding_content(path: Path) -> bytes:
    """Read an offboarding package, whatever it says.

    Raises:
        UnsuitablePackageError: The file is a link, not a file, writable by others, or too large.
    """
    return _content(path, {stat.S_IWGRP | stat.S_IWOTH: "writable by others on this machine"})


def open_leave(content: bytes, identity: Identity, platform: str, now: datetime) -> Leave:
    """Verify an offboarding package by the trust root of this device.

    Raises:
        InvalidPackageError: It does not let this device go today; the code says why.
    """
    package = open_offboarding(
        content,
        identity.server.trust_root,
        tenant_id=identity.server.tenant_id,
        device_id=identity.device_id,
        platform=platform,
        now=now,
    )
    return Leave(package=package, envelope=envelope_of(content))


def envelope_of(content: bytes) -> Envelope:
    """Read the envelope of a package, which others verify. Raises: PackageMalformedError."""
    try:
        return decode(content, Envelope, max_depth=4)
    except InvalidJsonError as error:
        raise PackageMalformedError(f"The package cannot be read: {error.cause}") from None


def read_offboarding(path: Path, identity: Identity, platform: str, now: datetime) -> Leave:
    """Read an offboarding package and verify it. Raises: as ``offboarding_content`` and ``open_leave``."""
    return open_leave(offboarding_content(path), identity, platform, now)


def _content(path: Path, forbidden: Mapping[int, str]) -> bytes:
    try:
        # A pipe in the place of the file must not make us wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | NOT_FOLLOWED | NEVER_WAITS | OURS_ALONE)
    except OSError as error:
        if path.is_symlink():
            raise UnsuitablePackageError(
                f"{path} is a symbolic link; a package is read from where it really is."
            ) from error
        raise UnsuitablePackageError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise UnsuitablePackageError(f"{path} is not a file.")
        for bits, why in forbidden.items():
            if about.st_mode & bits:
                raise UnsuitablePackageError(f"{path} is {why}.")
        content = os.read(descriptor, MAX_PACKAGE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_PACKAGE_BYTES:
        raise UnsuitablePackageError(f"{path} is larger than {MAX_PACKAGE_BYTES // 1024} KiB: not a package.")
    return content
