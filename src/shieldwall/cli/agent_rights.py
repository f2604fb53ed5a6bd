"""``shieldwall-agent`` as root where the agent is another user: what needs root comes first, the rest as that user.

Where the word of root is asked for, the connection to the applier is opened while we are root, and the kernel notes
that. Then this process becomes the agent's user for good, so that nothing it makes in the agent's directory belongs to
root and keeps the agent out.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.places import AGENT_USER


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user of this machine, with the groups that it belongs to (that of the TPM among them)."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


if sys.platform == "win32":

    def agent_user(state: Path) -> User | None:  # noqa: ARG001 - as elsewhere
        """Return ``None``: nobody becomes a service there, and errands are done instead (``service/errands.py``)."""
        return None

    def become(user: User, state: Path) -> None:
        """Be this user from now on. Raises: HostError: always."""
        raise HostError(f"Nobody becomes user {user.uid} for {state} on Windows.")

else:
    import pwd

    def agent_user(state: Path) -> User | None:
        """Return whose the agent's directory is, or will be; ``None`` for root or nobody. Raises: HostError."""
        try:
            found = state.lstat()
        except FileNotFoundError:
            with contextlib.suppress(KeyError):
                return _named(pwd.getpwnam(AGENT_USER))
            return None
        except OSError as error:
            raise HostError(f"{state} cannot be looked at: {error.strerror}.") from error
        if found.st_uid == 0:
            return None
        try:
            return _named(pwd.getpwuid(found.st_uid))
        except KeyError:
            return User(uid=found.st_uid, gid=found.st_gid)

    def become(user: User, state: Path) -> None:
        """Be this user from now on, with the agent's directory made for it where there is none. Raises: HostError."""
        try:
            if not state.exists():
                state.mkdir(mode=0o700, parents=True)
                os.chown(state, user.uid, user.gid)
            os.setgroups(user.groups)
            # Of root these set the real, the effective and the saved one (setuid(2)), also on macOS.
            os.setgid(user.gid)
            os.setuid(user.uid)
        except OSError as error:
            raise HostError(f"The rights of the agent's user cannot be taken on: {error.strerror}.") from error

    def _named(entry: pwd.struct_passwd) -> User:
        return User(uid=entry.pw_uid, gid=entry.pw_gid, groups=tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)))
