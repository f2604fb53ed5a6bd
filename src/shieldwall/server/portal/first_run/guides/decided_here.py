"""Guided fixes of what the tenant itself decides: scope, tags, approval, its switch."""

from __future__ import annotations

from typing import Final

from shieldwall.contract.enrollment import EnrollmentCode
from shieldwall.policy.enrollment import TAG, Reason
from shieldwall.server.portal.first_run.guides.common import DOCTOR, MANAGED, SCOPE, STATUS, SUPPORT, SYNC
from shieldwall.server.portal.first_run.guides.model import Guide, Guides, Step, everywhere
from shieldwall.server.portal.language import marked

_APPROVE: Final = Step(
    what=marked("Approve the device, if you know it."),
    how=marked(
        "Its package asks for approval, or it looks like a machine that is here already. The page of the device "
        "shows both side by side. Reject it if nobody of yours started it."
    ),
    path="/devices",
    label=marked("Find the device"),
)
_TAG: Final = Step(
    what=marked("Give the device the tag that the scope asks for."),
    how=marked(
        "Where a platform is on for tagged devices, a device needs the tag MDE-Management, in exactly these letters, "
        "or a dynamic tag whose rule names it."
    ),
    path="/devices",
    label=marked("Find the device"),
)
_PLATFORM: Final = Step(
    what=marked("Switch the platform of the device on."),
    how=marked("Choose whether all devices of that platform are taken or only tagged ones; the preview names them."),
    path="/scope",
    label=marked("Open the enforcement scope"),
)
_CONTROLLERS: Final = Step(
    what=marked("If it is a domain controller, include domain controllers."),
    how=marked("They follow their platform as well, and never get firewall policy, whoever assigns it."),
    path="/scope",
    label=marked("Open the enforcement scope"),
)
_FIRST_CHECK_IN: Final = Step(
    what=marked("If the device has never checked in, let it do so."),
    how=marked("Onboarding gives it an identity; its first check-in follows when the agent runs as a service."),
    commands={
        "linux": "sudo systemctl enable --now shieldwall-applier shieldwall-agent\nsudo shieldwall-agent sync",
        "windows": "Start-Service ShieldwallApplier, ShieldwallAgent\n@AGENT@ sync",
        "macos": "sudo launchctl kickstart system/org.shieldwall.applier\n"
        "sudo launchctl kickstart system/org.shieldwall.agent\n@AGENT@ sync",
    },
)
_ALLOW: Final = Step(
    what=marked("Allow security settings to be enforced."),
    how=marked(
        "Tick “Allow Microsoft Defender for Endpoint to enforce Endpoint Security Configurations”. The preview says "
        "which devices that takes."
    ),
    path="/scope",
    label=marked("Open the enforcement scope"),
)

STEP_OF_REASON: Final = {
    Reason.WAITS_FOR_APPROVAL: _APPROVE,
    Reason.TAG_MISSING: _TAG,
    Reason.PLATFORM_OFF: _PLATFORM,
    Reason.DOMAIN_CONTROLLERS_OFF: _CONTROLLERS,
    Reason.TENANT_SWITCH_OFF: _ALLOW,
}
"""The one step that helps where it is known why the tenant does not take a device."""

GUIDES: Final[Guides] = {
    EnrollmentCode.FAILED: Guide(
        meaning=marked(
            "Onboarding broke off before the device had an identity that works. Nothing was enforced, and nothing on "
            "the device was changed."
        ),
        steps=(DOCTOR, STATUS, SYNC, SUPPORT),
        fixed=marked("The command ends without an error, and the device appears in the list of devices."),
    ),
    EnrollmentCode.MANAGED: Guide(
        meaning=marked(
            "All is well: the device is taken by the enforcement scope and gets the policies assigned to its groups."
        ),
        steps=(
            Step(
                what=marked("See what is in effect."),
                how=marked("Every setting with the policy that it comes from, read back from the device."),
                commands=everywhere("@AGENT@ effective"),
                path="/devices",
                label=marked("Find the device"),
            ),
        ),
        fixed=marked("There is nothing to fix."),
    ),
    EnrollmentCode.NOT_ENROLLED: Guide(
        meaning=marked(
            "The directory knows the device, and the enforcement scope does not take it. It checks in and reports, and "
            "no policy reaches it."
        ),
        steps=(_APPROVE, _PLATFORM, _TAG, _CONTROLLERS, _FIRST_CHECK_IN),
        fixed=MANAGED,
    ),
    EnrollmentCode.TENANT_SWITCH_OFF: Guide(
        meaning=marked(
            "The switch of the whole tenant is off. Every device goes back to its settings from before management and "
            "waits."
        ),
        steps=(_ALLOW, SYNC),
        fixed=MANAGED,
    ),
    EnrollmentCode.TENANT_NOT_CONFIGURED: Guide(
        meaning=marked(
            "Microsoft's channel says this where the tenant was not set up for settings management. Shieldwall says 8 "
            "instead, so a device that shows 44 spoke to Microsoft's channel."
        ),
        steps=(STATUS, SCOPE, DOCTOR),
        fixed=MANAGED,
    ),
}

assert TAG == "MDE-Management", "a step names the tag"
