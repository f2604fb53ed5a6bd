"""What goes wrong in a simulation, and how often: chances for each request, write, hour or day."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often what goes wrong. All are chances between 0 and 1."""

    lost_request: float = 0.02
    """A request never arrives."""
    lost_answer: float = 0.02
    """It is answered, and nobody hears the answer."""
    repeated: float = 0.02
    """It arrives twice; the second answer is heard."""
    late: float = 0.02
    """Its sender gives up, and it arrives up to four minutes later, perhaps after younger ones."""
    killed: float = 0.001
    """The agent's process ends at a write of its disk."""
    disk_full: float = 0.0005
    """A write finds no space."""
    reboot_per_day: float = 0.5
    set_back_per_day: float = 0.02
    """The whole machine goes back to a snapshot of some hours ago."""
    clock_jump_per_day: float = 0.05
    """The device's clock is set up to two days wrong."""
    cloned_per_day: float = 0.01
    """The disk is copied onto another machine, which runs beside it."""
    moved_per_day: float = 0.02
    """The disk goes into other hardware, and the old machine is gone."""
    renamed_per_day: float = 0.05
    """It gets another name, by which groups ask for it."""
    told_to_leave_per_day: float = 0.005
    """An administrator takes it out of management."""
    meddled: float = 0.05
    """Between two check-ins somebody changes a managed setting."""
    curious: float = 0.01
    """A device asks for a policy that is not its own."""
    server_restarts_per_day: float = 3.0
    server_commit_fails: float = 0.002
    """The database refuses what a request wrote, as a full disk would."""


NONE = Faults(
    lost_request=0.0,
    lost_answer=0.0,
    repeated=0.0,
    late=0.0,
    killed=0.0,
    disk_full=0.0,
    reboot_per_day=0.0,
    set_back_per_day=0.0,
    clock_jump_per_day=0.0,
    cloned_per_day=0.0,
    moved_per_day=0.0,
    renamed_per_day=0.0,
    told_to_leave_per_day=0.0,
    meddled=0.0,
    curious=0.0,
    server_restarts_per_day=0.0,
    server_commit_fails=0.0,
)
"""Nothing goes wrong: how a simulation ends, so that everything has to come right by itself."""
