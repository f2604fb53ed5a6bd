"""The preferences of Microsoft Defender on a Mac: where they stand, and whose they are. Pure, but for ``find_owner``.

The product reads, in this order: what comes by *MDE Attach* (Microsoft's own channel, and the place we write to), what
an MDM brought, what somebody set by ``mdatp config``, its defaults. The first two exclude each other: while Attach
gives anything, *everything* from the MDM is ignored. So a Mac whose MDM manages Defender must not get anything from us.

Nobody but Microsoft's channel and we write the first file. Ours carries a key of its own at the top level, where an MDM
puts keys of its own (``PayloadUUID``) as well; a file without it is Microsoft's.

Source: Microsoft, *Troubleshoot configuration of Defender for Endpoint on macOS* and *Set preferences for … on macOS*.
"""

from __future__ import annotations

import plistlib
from pathlib import PurePosixPath
from typing import Any, Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host

ATTACHED: Final = PurePosixPath("/Library/Preferences/com.microsoft.mdeattach.plist")
"""What comes by Microsoft's channel, or from us."""
FROM_MDM: Final = (
    PurePosixPath("/Library/Managed Preferences/com.microsoft.wdav.plist"),
    PurePosixPath("/Library/Managed Preferences/com.microsoft.wdav.ext.plist"),
)
"""What an MDM brought."""
MARK: Final = "shieldwallManaged"
"""The key, with the value true, that tells our file from Microsoft's."""


class UnreadablePlistError(HostError):
    """The bytes are no property list with a dictionary at its root, in XML or binary."""

    code = "unreadablePlist"
    remedy = "Correct or remove the file; it is applied at the next check-in."


def parse(content: bytes) -> dict[str, Any]:
    """Read a property list in XML or binary form. Raises: UnreadablePlistError."""
    try:
        document = plistlib.loads(content)
    except Exception as error:  # noqa: BLE001 - the parser raises a dozen kinds, for what is merely not a property list
        raise UnreadablePlistError(f"It is no property list: {type(error).__name__}: {error}"[:512]) from None
    if not isinstance(document, dict) or not all(isinstance(name, str) for name in document):
        raise UnreadablePlistError("The property list does not hold a dictionary.")
    return document


def is_ours(content: bytes) -> bool:
    """Say whether we wrote this file; what cannot be read is somebody else's."""
    try:
        return parse(content).get(MARK) is True
    except UnreadablePlistError:
        return False


def find_owner(host: Host, attached: PurePosixPath = ATTACHED) -> PurePosixPath | None:
    """Return the file that shows that Defender belongs to another manager; ``None`` where we may manage it.

    Raises:
        HostError: The files cannot be read.
    """
    from_mdm = next((path for path in FROM_MDM if host.read_file(path) is not None), None)
    if from_mdm is not None:
        return from_mdm
    content = host.read_file(attached)
    return attached if content is not None and not is_ours(content) else None
