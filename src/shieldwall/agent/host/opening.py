"""Opening files so that nobody who may make links or pipes steers us, in the words that each system has for it.

``NOT_FOLLOWED``: a link in the last place is refused. ``NEVER_WAITS``: a pipe in the place of a file makes nobody wait.
``OURS_ALONE``: programs that we start do not inherit it. ``FOLDER``: it must be a directory.

Windows has no flag against links, and needs none for what the agent opens: its directories admit SYSTEM and
administrators alone (``package/windows``), who need no links. Source: open(2); Microsoft, *_open, _wopen*.
"""

from __future__ import annotations

import os
import sys
from typing import Final

if sys.platform == "win32":
    NOT_FOLLOWED: Final = 0
    NEVER_WAITS: Final = 0
    FOLDER: Final = 0
    OURS_ALONE: Final = os.O_NOINHERIT | os.O_BINARY
else:
    NOT_FOLLOWED: Final = os.O_NOFOLLOW
    NEVER_WAITS: Final = os.O_NONBLOCK
    FOLDER: Final = os.O_DIRECTORY
    OURS_ALONE: Final = os.O_CLOEXEC
