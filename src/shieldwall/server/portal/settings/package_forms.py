"""The form of a new onboarding package: what it offers, what it was filled with, and reading it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, get_args

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.inventory.packages import Approval, Attestation, JoinType, PackageDraft, Platform
from shieldwall.server.portal.forms import choice, lines, ticked, whole
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.settings.handouts import ONBOARDING_SCRIPTS
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.records import OnboardingPackageRecord

PLATFORMS: Final[tuple[tuple[Platform, str], ...]] = (("linux", "Linux"), ("windows", "Windows"), ("macos", "macOS"))
APPROVALS: Final[tuple[tuple[Approval, str], ...]] = (
    ("auto", marked("at once")),
    ("manual", marked("by an administrator")),
)
ATTESTATIONS: Final[tuple[tuple[Attestation, str], ...]] = (
    ("optional", marked("where there is a TPM")),
    ("tpm-required", marked("required: a trusted TPM has to prove the key")),
    ("none", marked("not asked for")),
)
JOIN_TYPES: Final[tuple[tuple[JoinType, str], ...]] = (
    ("synthetic", marked("synthetic registrations")),
    ("full", marked("full registrations as well")),
)
STATE_WORDS: Final[Mapping[str, str]] = {
    "usable": marked("usable"),
    "used up": marked("used up"),
    "expired": marked("expired"),
    "revoked": marked("revoked"),
    "not valid yet": marked("not valid yet"),
}
"""Whether devices can still onboard with a package, as ``views.package_state`` says it."""
DEVICE_WORDS: Final[Mapping[DeviceState, str]] = {
    DeviceState.PENDING: marked("waits to be let in"),
    DeviceState.ACTIVE: marked("active"),
    DeviceState.DISABLED: marked("disabled"),
    DeviceState.QUARANTINED: marked("in quarantine"),
    DeviceState.LEAVING: marked("told to leave"),
    DeviceState.RETIRED: marked("offboarded"),
}
WORDS: Final[Mapping[str, Any]] = {
    "package_states": STATE_WORDS,
    "platform_names": dict(PLATFORMS),
    "device_state_words": DEVICE_WORDS,
}
"""What pages of packages say beside their own."""
_NEW: Final[Mapping[str, str]] = {
    "name": "Onboarding package",
    "days": "30",
    "uses": "500",
    "platform_linux": "on",
    "approval": "auto",
    "attestation": "optional",
    "join": "synthetic",
}


def offered(filled: Mapping[str, str] | None = None, problem: ShieldwallError | None = None) -> dict[str, Any]:
    """Return what the page of the form shows; where something is wrong, as it was filled."""
    values = _NEW if filled is None else filled
    return {
        "values": {"name": "", "days": "", "uses": "", "approval": "", "attestation": "", "join": "", "tags": ""}
        | dict(values),
        "chosen_platforms": ticked(values, "platform", get_args(Platform)),
        "chosen_scripts": ticked(values, "script", ONBOARDING_SCRIPTS),
        "platforms": PLATFORMS,
        "approvals": APPROVALS,
        "attestations": ATTESTATIONS,
        "join_types": JOIN_TYPES,
        "scripts": [(kind, about) for kind, (_, about) in ONBOARDING_SCRIPTS.items()],
        "problem": problem,
    }


def like(package: OnboardingPackageRecord) -> dict[str, str]:
    """Fill the form as a package is that is there already."""
    return {
        "name": package.display_name,
        "days": str(max(1, (package.not_after - package.not_before).days)),
        "uses": str(package.max_uses),
        "approval": package.approval,
        "attestation": package.attestation,
        "join": package.join_type,
        "tags": "\n".join(package.tags),
        **{f"platform_{platform}": "on" for platform in package.platforms},
    }


def draft_of(form: Mapping[str, str]) -> PackageDraft:
    """Read the form. Raises: InvalidFormError, InvalidPackageDraftError."""
    return PackageDraft(
        display_name=form.get("name", "").strip(),
        lifetime=timedelta(days=whole(form, "days", "Days")),
        max_uses=whole(form, "uses", "Uses"),
        platforms=ticked(form, "platform", get_args(Platform)),
        tags=lines(form, "tags"),
        approval=choice(form, "approval", "Devices are let in", get_args(Approval)),
        attestation=choice(form, "attestation", "Attestation", get_args(Attestation)),
        join_type=choice(form, "join", "Makes", get_args(JoinType)),
    )
