"""Packages that bring a device to a tenant of Defender for Endpoint, or take it away. They are secrets. Pure.

What the published onboarding script writes as ``OnboardingInfo`` is an object whose ``body`` is once more JSON, with
the organisation in it, beside its signatures. That the package of the MDM channel is the same text is an assumption.
"""

from __future__ import annotations

import hashlib
from typing import Any

from msgspec import Struct

from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError


class Package(Struct, frozen=True):
    """What can be said of a package without saying what is in it."""

    organisation: str
    digest: str


def package_of(text: object) -> Package | None:
    """Look into a package; ``None`` when it is none."""
    if not isinstance(text, str) or "\0" in text:
        return None
    outer = _object(text)
    body = None if outer is None else outer.get("body")
    inner = _object(body) if isinstance(body, str) else None
    signed = outer is not None and any(isinstance(outer.get(name), str) for name in ("sig", "sha256sig"))
    if inner is None or not signed:
        return None
    organisation = inner.get("orgId")
    named = organisation.lower() if isinstance(organisation, str) else ""
    return Package(named, hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest())


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = strict_json.decode_any(text.encode())
    except (InvalidJsonError, UnicodeEncodeError):
        return None
    return found if isinstance(found, dict) else None
