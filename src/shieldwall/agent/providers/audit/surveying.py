"""What rules have to know of a machine: where people keep keys, which numbers users have. Pure but for one question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from shieldwall.agent.providers.audit import profile as at
from shieldwall.agent.providers.audit.profile import Profile
from shieldwall.agent.providers.audit_rules import is_usable

PASSWD: Final = PurePosixPath("/etc/passwd")
MOST_HOMES: Final = 500
_FIRST_PERSON: Final = 1_000
_NOBODY: Final = 65_534


def survey(
    passwd: bytes | None, profile: Profile, has_keys: Callable[[str], bool], web_users: Sequence[str]
) -> Mapping[str, Any]:
    """Return homes with keys, the users of web servers, and the users that the profile names."""
    entries = list(_entries(passwd or b""))
    numbers = {name: uid for name, uid, _ in entries}
    homes = [home for _, uid, home in entries if _FIRST_PERSON <= uid < _NOBODY and is_usable(home) and has_keys(home)]
    return {
        "homes": sorted(dict.fromkeys(homes))[:MOST_HOMES],
        "webUsers": sorted({numbers[name] for name in web_users if numbers.get(name)}),
        "users": {name: numbers[name] for name in profile.items(at.USERS) if name in numbers},
    }


def _entries(passwd: bytes) -> list[tuple[str, int, str]]:
    found = []
    for line in passwd.decode("utf-8", "replace").splitlines():
        parts = line.split(":")
        if len(parts) == 7 and parts[2].isdigit() and len(parts[2]) < 11:
            found.append((parts[0], int(parts[2]), parts[5].rstrip("/") or "/"))
    return found
