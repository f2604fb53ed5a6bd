"""Taking out of text what nobody else may read: keys, passwords, tokens, names of people. Pure.

A bundle leaves the device, so everything in it passes here, whatever its source promises. What looks like a secret
goes, even where it is none: too little in a bundle is asked for again, a password in it is not undone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

REDACTED: Final = "(redacted)"
_WORDS: Final = (
    r"(?:[\w.-]*(?:password|passwd|passphrase|secret|token|credential|api[ _-]?key|private[_-]?key|access[_-]?key"
    r"|authorization|cookie|proxyusername|nonce|mnemonic)[\w.-]*|(?:[\w.-]*[_.-])?(?:pass|pwd))"
)
_NAMED: Final = re.compile(
    # name=value, name: value, "name": "value"; at the beginning of a line also Name value, as in ClamAV's files
    rf"(?im)(?P<name>(?:(?<=^)[ \t]*{_WORDS}(?=[ \t])|[\"']?\b{_WORDS}[\"']?(?=\s*[=:])))(?P<between>\s*[=:]\s*|[ \t]+)"
    r"(?P<value>\"(?:[^\"\\\n]|\\.)*(?:\"|$)|'[^'\n]*(?:'|$)"
    r"|(?:Bearer|Basic|DPoP|Negotiate|NTLM|Digest|Token)\s+\S+|[^\s,;}\]]+)"
)
_PEM: Final = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL)
_CREDENTIALS: Final = re.compile(r"(?<=://)(?:[^/:\s\"']*:[^\s\"']*|[^/\s\"']+)@")
"""Up to the last at sign: whoever writes an address by hand does not escape those of a password."""
_BEARER: Final = re.compile(r"(?i)\b(?:bearer|basic|dpop)\s+[A-Za-z0-9+/._~=-]{8,}")
_JWT: Final = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?")
_LONG: Final = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")
_MIXED: Final = 0.15
"""Share of capitals and of small letters above which so long a run is a key in base64 and no path or name; digests in
hexadecimal have letters of one case."""
_HOME: Final = re.compile(r"(?<=/home/)[^/\s\"'\\,;:)]+")
_MAIL: Final = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
_SECRET_NAME: Final = re.compile(rf"(?i)\A{_WORDS}\Z")
_SHORTEST: Final = 4
"""A known secret shorter than that would take half the text along."""
_PERSONAL: Final = frozenset({"displayName", "display_name", "deviceName", "certificate"})


def text(content: str, *, known: Iterable[str] = ()) -> str:
    """Return text without what looks like a secret, without the ``known`` ones, and without names of people."""
    for secret in sorted((each for each in known if len(each) >= _SHORTEST), key=len, reverse=True):
        content = content.replace(secret, REDACTED)
    content = _PEM.sub(REDACTED, content)
    content = _CREDENTIALS.sub(f"{REDACTED}@", content)
    content = _BEARER.sub(REDACTED, content)
    content = _JWT.sub(REDACTED, content)
    content = _NAMED.sub(lambda found: f"{found['name']}{found['between']}{_quoted(found['value'])}", content)
    content = _LONG.sub(lambda found: REDACTED if _is_mixed(found[0]) else found[0], content)
    content = _HOME.sub("(user)", content)
    return _MAIL.sub("(address)", content)


def document(value: Any, *, known: Iterable[str] = ()) -> Any:
    """Return plain JSON without secrets: values of settings that are secret, members named so, and as ``text``."""
    known = tuple(known)
    match value:
        case {"kind": "secret", "value": _}:
            return {**value, "value": REDACTED}
        case dict():
            return {text(str(name), known=known): _member(str(name), member, known) for name, member in value.items()}
        case list() | tuple():
            return [document(item, known=known) for item in value]
        case str():
            return text(value, known=known)
        case _:
            return value


def secrets_in(value: Any) -> frozenset[str]:
    """Return the values of all settings in plain JSON that are secret, so that they can be taken out elsewhere."""
    match value:
        case {"kind": "secret", "value": secret}:
            return frozenset({str(secret)})
        case dict():
            return frozenset().union(*(secrets_in(member) for member in value.values()))
        case list() | tuple():
            return frozenset().union(*(secrets_in(item) for item in value))
        case _:
            return frozenset()


def _member(name: str, member: Any, known: tuple[str, ...]) -> Any:
    if isinstance(member, str) and (name in _PERSONAL or _SECRET_NAME.match(name)):
        return REDACTED if member else member
    return document(member, known=known)


def _is_mixed(run: str) -> bool:
    capitals, small = sum(map(str.isupper, run)), sum(map(str.islower, run))
    return min(capitals, small) > len(run) * _MIXED and not run.isalpha()


def _quoted(value: str) -> str:
    return f"{value[0]}{REDACTED}{value[0]}" if value[:1] in {'"', "'"} else REDACTED
