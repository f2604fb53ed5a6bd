"""A word to a running process of ours: to check in now, or to stop.

On Linux and macOS it is a signal. Windows has none between processes: there it is an event with a name made of the
process's number, which the running agent makes and waits for (``agent/windows/words.py``).
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Final

STOP: Final = int(signal.SIGTERM)

if sys.platform == "win32":
    import pywintypes
    import win32con
    import win32event
    import winerror

    CHECK_IN: Final = int(signal.SIGBREAK)

    def event_name(process: int, word: int) -> str:
        """Name the event that is this word for this process; it is seen from every session."""
        return f"Global\\Shieldwall-{process}-{word}"

    def tell(process: int, word: int) -> None:
        """Say a word. Raises: ProcessLookupError: nobody listens. PermissionError: it is not ours to say."""
        try:
            event = win32event.OpenEvent(win32con.EVENT_MODIFY_STATE, False, event_name(process, word))
            win32event.SetEvent(event)
        except pywintypes.error as error:
            if error.winerror == winerror.ERROR_ACCESS_DENIED:
                raise PermissionError(f"Process {process} may not be told.") from error
            raise ProcessLookupError(f"Process {process} does not listen.") from error

else:
    CHECK_IN: Final = int(signal.SIGUSR1)

    def tell(process: int, word: int) -> None:
        """Say a word. Raises: ProcessLookupError: nobody listens. PermissionError: it is not ours to say."""
        os.kill(process, word)
