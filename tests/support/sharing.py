"""How the processes of a test run share its files: one of them waits while the others compute.

Some files spend most of their time waiting: for a machine to boot, a browser to draw, a window of the firewall to end.
Were all processes at such files, cores would idle; did they come last, nothing would be left to compute meanwhile. So
one process takes them one after the other from the beginning, and there is one process more than there are cores. This
also keeps them apart: what boots a machine is not beside what drives a browser.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

WAITING: Final = (
    "tests/machine/",
    "tests/life/",
    "tests/e2e/",
    "tests/portal/test_browser",
    "tests/portal/wizard/test_browser",
    "tests/agent/test_cut_off.py",
    "tests/providers/test_clamav_hostile_user.py",
    "tests/providers/test_clamav_onaccess.py",
    "tests/providers/test_hardening_sentry.py",
)
"""How the paths of files that wait begin."""


def waits(file: str) -> bool:
    """Say whether a file of tests spends most of its time waiting."""
    return file.startswith(WAITING)


def next_file(files: Iterable[str], *, somebody_waits: bool) -> str:
    """Choose what a process takes next: the first of the kind that it shall have, or the first when there is none."""
    left = list(files)
    return next((file for file in left if waits(file) != somebody_waits), left[0])


def is_waiting(work: Mapping[str, Mapping[str, bool]]) -> bool:
    """Say whether a process still has tests that wait, of all that it was given with whether it is done."""
    return any(waits(file) and not all(tests.values()) for file, tests in work.items())


class Sharing(LoadFileScheduling):
    """Gives files that wait to one process at a time."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        somebody_waits = any(is_waiting(work) for other, work in self.assigned_work.items() if other is not node)
        self.workqueue.move_to_end(next_file(self.workqueue, somebody_waits=somebody_waits), last=False)
        super()._assign_work_unit(node)
