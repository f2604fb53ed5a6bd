"""What the shell offers when somebody presses TAB: names of what the server has.

It is asked as the one who is logged in, at most one page, and for a second at most; whatever goes wrong, nothing is
offered and nothing is said. A person's tokens are not refreshed for it: a refresh token is good once, and a call that
is given up halfway would lose it.

Shells evaluate some of what they are given, and devices choose their own names. So names with a character that means
something to a shell are left out; they can be typed, quoted.
"""

from __future__ import annotations

import io
import os
import re
import time
from contextlib import redirect_stderr
from typing import Final, Self, SupportsIndex

from shieldwall.cli.names import FILTERS, GROUPS, POLICIES, WEBHOOKS

_DEVICES: Final = "/v1.0/deviceManagement/managedDevices"
_APPLICATIONS: Final = "/v1.0/applications"
_MOST: Final = 50
_SECONDS: Final = 1.0
_SPARE_SECONDS: Final = 180
"""A person's token that ends sooner is not used: more than where a command would refresh it."""
_SAFE: Final = re.compile(r"[\w.@+,/][\w .:@+,/-]*")
"""Letters and digits of any script, and signs that no shell reads but for the blank and the colon; no option."""
_BROKEN_AT: Final = re.compile(r"[ :]")


class QuotedName(str):
    """A name as bash wants it typed. It begins with whatever the name itself begins with."""

    __slots__ = ("_plain",)
    _plain: str

    def __new__(cls, plain: str) -> Self:
        """Quote a name."""
        made = super().__new__(cls, _BROKEN_AT.sub(lambda sign: f"\\{sign[0]}", plain))
        made._plain = plain
        return made

    def startswith(self, beginning: str | tuple[str, ...], *part: SupportsIndex | None) -> bool:
        """Tell whether the name, without quotes, begins so."""
        return self._plain.startswith(beginning, *part)


def complete_policy(incomplete: str) -> list[str]:
    """Offer names of policies."""
    return _offered(POLICIES, "name", incomplete)


def complete_group(incomplete: str) -> list[str]:
    """Offer names of groups."""
    return _offered(GROUPS, "displayName", incomplete)


def complete_device(incomplete: str) -> list[str]:
    """Offer names of devices."""
    return _offered(_DEVICES, "deviceName", incomplete)


def complete_filter(incomplete: str) -> list[str]:
    """Offer names of filters."""
    return _offered(FILTERS, "displayName", incomplete)


def complete_application(incomplete: str) -> list[str]:
    """Offer names of applications."""
    return _offered(_APPLICATIONS, "displayName", incomplete)


def complete_webhook(incomplete: str) -> list[str]:
    """Offer names of webhooks."""
    return _offered(WEBHOOKS, "displayName", incomplete)


def fit_for_shell(names: list[str], incomplete: str, shell: str, typed: str) -> list[str]:
    """Choose the names that a shell can be given, as it wants them.

    Args:
        names: Names as the server has them.
        incomplete: What was typed of one, without quotes.
        shell: bash, zsh, fish, powershell or pwsh.
        typed: What was typed, as it stands there; only bash needs it, where a quote may be open.
    """
    safe = [each for each in names if _SAFE.fullmatch(each) and each.startswith(incomplete)]
    if shell == "bash":
        return safe if typed.startswith(('"', "'")) else [QuotedName(each) for each in safe]
    return safe if shell in {"zsh", "fish"} else [each for each in safe if " " not in each]


def _offered(listing: str, member: str, incomplete: str) -> list[str]:
    shell = os.environ.get("_SHIELDWALL_COMPLETE", "").rpartition("_")[2]
    typed = os.environ.get("COMP_WORDS", "").rpartition("\n")[2]
    try:
        with redirect_stderr(io.StringIO()):
            return fit_for_shell(_names(listing, member, incomplete), incomplete, shell, typed)
    except Exception:  # noqa: BLE001 - between two keystrokes there is nobody to tell
        return []


def _names(listing: str, member: str, incomplete: str) -> list[str]:
    # Imported only when somebody presses TAB.
    from shieldwall.cli.access_tokens import token_source  # noqa: PLC0415 - see above
    from shieldwall.cli.http_calls import answer_of, http_client  # noqa: PLC0415 - see above
    from shieldwall.cli.listing import text_of  # noqa: PLC0415 - see above
    from shieldwall.cli.logins import PersonLogin, load_login, stored_login  # noqa: PLC0415 - see above

    login, clock = load_login(stored_login()), time.time  # noqa: TID251 - the edge of the program
    if isinstance(login, PersonLogin) and login.expires_at - _SPARE_SECONDS < clock():
        return []
    query = {"$top": str(_MOST), "$orderby": member, "$select": member}
    if incomplete:
        query["$filter"] = f"startswith({member},{text_of(incomplete)})"
    with http_client(login.certificate_authority, patience_seconds=_SECONDS) as http:
        bearer = {"Authorization": f"Bearer {token_source(login, http, clock).access_token()}"}
        found = answer_of(http, "GET", f"{login.graph.rstrip('/')}{listing}", params=query, headers=bearer)
    return [str(each[member]) for each in found["value"]]
