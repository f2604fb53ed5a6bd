"""What alerts are about, in words, and what to do about each: by the area of their kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from shieldwall.server.portal.language import marked
from shieldwall.server.storage.events.alerts import Severity

SEVERITIES: Final[Mapping[Severity, str]] = {
    Severity.HIGH: marked("High"),
    Severity.MEDIUM: marked("Medium"),
    Severity.LOW: marked("Low"),
}
STYLES: Final[Mapping[Severity, str]] = {Severity.HIGH: "bad", Severity.MEDIUM: "wait", Severity.LOW: "calm"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaWords:
    """What an area is called, what to do next, and the page where that is done, if there is one."""

    name: str
    advice: str
    path: str = ""
    step: str = ""


_OTHER: Final = AreaWords(
    name=marked("Other"),
    advice=marked("Look at what was seen, find out whether it was meant to happen, and resolve the alert."),
)
AREAS: Final[Mapping[str, AreaWords]] = {
    "malware": AreaWords(
        name=marked("Malware"),
        advice=marked(
            "Find out how the file came to the device and whether others have it too. What was moved to quarantine "
            "stays there until somebody at the device restores or removes it."
        ),
    ),
    "edr": AreaWords(
        name=marked("Behavior on a device"),
        advice=marked(
            "Ask whoever runs the device whether they did this. If nobody did, take the device off the network and "
            "look at its timeline for what happened before and after."
        ),
    ),
    "tamper": AreaWords(
        name=marked("Tampering"),
        advice=marked(
            "Ask who is at the device. What tamper protection refused had no effect, and what was changed all the same "
            "is put back. For planned work give the device time for troubleshooting."
        ),
        path="/protection",
        step=marked("Tamper protection"),
    ),
    "clonedIdentity": AreaWords(
        name=marked("Cloned identity"),
        advice=marked(
            "Two machines came with one identity, and the device is in quarantine. Decide which machine is the real "
            "one, release the device, and let the other machine onboard anew."
        ),
    ),
    "duplicateHardware": AreaWords(
        name=marked("Same hardware, another key"),
        advice=marked(
            "A machine that was installed anew comes so, and so does a copy. Compare the two devices; if one follows "
            "the other, replace the old one."
        ),
    ),
    "packageBurst": AreaWords(
        name=marked("Many devices with one package"),
        advice=marked(
            "If you did not hand the package out today, revoke it and look at the devices that came with it."
        ),
        path="/packages",
        step=marked("Onboarding packages"),
    ),
    "packageRefused": AreaWords(
        name=marked("Package refused"),
        advice=marked("Somebody tried a package that is revoked, expired or used up. Find out where it lies around."),
        path="/packages",
        step=marked("Onboarding packages"),
    ),
    "receiverSwitchedOff": AreaWords(
        name=marked("Receiver switched off"),
        advice=marked("A receiver of events failed too often. Repair it, and switch it on again."),
        path="/connectors",
        step=marked("Connectors"),
    ),
    "passkeyCopied": AreaWords(
        name=marked("Passkey may be copied"),
        advice=marked("Talk to the person, remove the passkey and let them make a new one; end their sessions."),
        path="/people",
        step=marked("People"),
    ),
    "recoveryCode": AreaWords(
        name=marked("One-time code for somebody with a passkey"),
        advice=marked("Make sure that the person asked for it: with the code, whoever has it signs in as them."),
        path="/people",
        step=marked("People"),
    ),
}
"""By the first part of the kind."""


def area_of(kind: str) -> str:
    """Return the area of a kind: ``tamper`` of ``tamper.agentFileChanged``."""
    return kind.partition(".")[0]


def words_of(kind: str) -> AreaWords:
    """Say what an alert of a kind is about; one of a newer agent is something else."""
    return AREAS.get(area_of(kind), _OTHER)
