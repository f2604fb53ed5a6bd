"""Steps that several guided fixes share."""

from __future__ import annotations

from typing import Final

from shieldwall.server.portal.first_run.guides.model import Step, everywhere
from shieldwall.server.portal.language import marked

DOCTOR: Final = Step(
    what=marked("Let the device examine itself."),
    how=marked(
        "The doctor changes nothing. The gravest finding comes first, each with what shows it and what to do. "
        "Begin with the first one."
    ),
    commands=everywhere("@AGENT@ doctor"),
)
STATUS: Final = Step(
    what=marked("Read what the device itself says."),
    how=marked("It shows its enrollment status and the last error with its code, its cause and what to do."),
    commands=everywhere("@AGENT@ status"),
)
SYNC: Final = Step(
    what=marked("Let the device check in now."),
    how=marked("It also checks in by itself; this saves you the waiting, and prints what changed or what went wrong."),
    commands=everywhere("@AGENT@ sync"),
)
SCOPE: Final = Step(
    what=marked("Look at the enforcement scope."),
    how=marked("It shows before anything is saved which devices a change would take and release."),
    path="/scope",
    label=marked("Open the enforcement scope"),
)
NEW_PACKAGE: Final = Step(
    what=marked("Make another onboarding package and onboard the device with it."),
    how=marked("Tick the platform of the device. A device that is onboarded already has to be offboarded first."),
    path="/packages/new",
    label=marked("Make a package"),
)
SUPPORT: Final = Step(
    what=marked("Collect what somebody else needs to help you."),
    how=marked("The file holds no secrets: findings, versions and the agent's own log."),
    commands=everywhere("@AGENT@ doctor --bundle for-support.zip"),
)
MANAGED: Final = marked("The device shows enrollment status 1, Managed by MDE, in its next check-in.")
