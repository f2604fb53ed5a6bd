"""A pause in which other threads ask: where there are no signals that break a wait off, as in a service of Windows."""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec import Struct, field

from shieldwall.agent.service.waiting import Wake


class AskedPause(Struct):
    """Implements ``Pause``. What is asked outside a wait is kept for the next one."""

    _asked: set[Wake] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def ask(self, wake: Wake) -> None:
        """Ask to check in or to stop; may be called by any thread."""
        with self._changed:
            self._asked.add(wake)
            self._changed.notify_all()

    def sleep(self, seconds: float) -> Wake:
        """See ``Pause.sleep``."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._asked), timeout=max(0.0, seconds))
            return self._taken() or Wake.TIME

    def during(self, work: Callable[[], Wake]) -> Wake:
        """See ``Pause.during``. Work that is broken off ends by itself, and nobody hears of it any more."""
        ended: list[Wake | BaseException] = []

        def carry_out() -> None:
            found: Wake | BaseException
            try:
                found = work()
            except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
                found = error
            with self._changed:
                ended.append(found)
                self._changed.notify_all()

        with self._changed:
            if self._asked:
                return self._taken() or Wake.TIME
            threading.Thread(target=carry_out, name="waiting", daemon=True).start()
            self._changed.wait_for(lambda: bool(self._asked or ended))
            asked = self._taken()
        if asked is not None:
            return asked
        if isinstance(ended[0], BaseException):
            raise ended[0]
        return ended[0]

    def _taken(self) -> Wake | None:
        """Return what is asked, to stop before all else."""
        wake = next((each for each in (Wake.STOP, Wake.SYNC) if each in self._asked), None)
        if wake is not None:
            self._asked.discard(wake)
        return wake
