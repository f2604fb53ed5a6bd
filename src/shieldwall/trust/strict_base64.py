"""Base64 with exactly one spelling per value: no white space, no missing or extra padding, no stray bits at the end."""

from __future__ import annotations

import base64


def encode(data: bytes) -> str:
    """Write standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def encode_url(data: bytes) -> str:
    """Write base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Read standard base64 with padding. Raises: ValueError."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error, or a character outside ASCII
        raise ValueError("The text is not base64.") from None
    if encode(data) != text:  # several texts decode to the same bytes; only one of them is ours
        raise ValueError("The text is not the one base64 spelling of its bytes.")
    return data


def decode_url(text: str) -> bytes:
    """Read base64url without padding. Raises: ValueError."""
    if "+" in text or "/" in text or "=" in text:
        raise ValueError("The text is not base64url without padding.")
    return decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))
